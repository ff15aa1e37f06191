"""One slot of a worker: claims runs, executes them one after another, writes what became of them.

Owns the drain loop. Knows nothing of Celery: whoever wakes it calls `drain`.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from jobs_platform.domain.errors import DatabaseUnavailableError, UnknownTaskError
from jobs_platform.domain.lifecycle import Status
from jobs_platform.engine.cancel import stop_attempts
from jobs_platform.engine.claim import LONG_AGO, Taken, Want, finish_and_claim
from jobs_platform.engine.handoff import ClaimedRun, Holder, Outcome
from jobs_platform.engine.hook_call import claim_hook_calls, finish_hook_calls
from jobs_platform.engine.line import Line
from jobs_platform.engine.worker import give_back, give_back_unknown
from jobs_platform.runtime.board import Board, SlotState
from jobs_platform.runtime.hand import Hand
from jobs_platform.runtime.interrupt import Interrupt
from jobs_platform.runtime.log_buffer import LogBuffer
from jobs_platform.runtime.pace import Pace

BUDGET_SECONDS = 1.0
"""A drain that has gone on for so long makes room for whatever else its process is to do."""
SLOW_SECONDS = 1.0
"""After a run this long nothing of the same claim is started: the keeper may have given it back."""
UNKNOWN_TASK_SECONDS = 5.0
"""A run of a task that this worker does not know waits so long for one that does."""
_SLACK = timedelta(milliseconds=100)
"""A trigger may commit so much later than it began and still be seen at once."""
_FULL_LOOK_SECONDS = 1.0

_log = logging.getLogger(__name__)


class Executes(Protocol):
    """What a slot asks of the executor."""

    def execute(self, run: ClaimedRun, *, interrupt: Interrupt) -> Outcome: ...
    def call_final_hooks(self, run: ClaimedRun, outcome: Outcome) -> None: ...
    def call_stored_final_hooks(self, run_id: UUID) -> None: ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all slots of a process share."""

    conninfo: str
    board: Board
    logs: LogBuffer
    executor: Executes
    ring: Callable[[str, int], object]
    tidy: Callable[[], None]
    """Called after an attempt that did not complete."""


class Slot:
    """One executor with a connection of its own. Its thread alone calls `drain`."""

    def __init__(self, holder: Holder, index: int, around: Surroundings) -> None:
        self.holder = holder
        self.hand = Hand()
        self.interrupt = Interrupt()
        self._index = index
        self._around = around
        self._line = Line(around.conninfo, application_name=f"jobs slot {holder.slot}")
        self._pace = Pace()
        self._number = 0
        self._low_water = LONG_AGO
        self._full_look_at = 0.0
        self._runs: dict[UUID, ClaimedRun] = {}
        self._is_sure = True
        """Whether the database and this slot agree on what it has claimed."""
        self._refused: list[Outcome] = []
        self._called: list[UUID] = []
        self._showing = threading.Lock()
        self.worker_queue = ""
        self._show()

    def drain(self, worker_queue: str) -> int:
        """Execute claimable runs until there are none, or the budget is used; returns how many."""
        self.worker_queue = worker_queue
        until = time.monotonic() + BUDGET_SECONDS
        self._low_water = LONG_AGO
        executed = 0
        while True:
            is_over = self._around.board.is_stopping or time.monotonic() >= until
            taken = self._exchange(0 if is_over else self._pace.limit)
            if taken.runs:
                executed += self._work(taken.runs)
            elif not is_over and self._low_water != LONG_AGO:
                self._low_water = LONG_AGO
            else:
                break
        self._call_waiting_hooks()
        if is_over and not self._around.board.is_stopping:
            self._around.ring(worker_queue, 1)
        return executed

    def close(self) -> None:
        self._around.board.free(self._index)
        self._line.close()

    def write_outcomes(self, line: Line) -> None:
        """Write what is finished, on a connection of the watch, while this slot still executes."""
        outcomes = self.hand.take_outcomes()
        if not outcomes:
            return
        try:
            finished = self._finish(line, outcomes, Want(), calls_hooks=False).finished
        except DatabaseUnavailableError:
            self.hand.put_back(outcomes)
            raise
        if any(outcome.has_final_hooks for outcome in outcomes):
            self._around.ring(self.worker_queue, 1)
        for run_id in finished:
            self._runs.pop(run_id, None)

    def give_back_unstarted(self, line: Line) -> int:
        """Let others have what this slot has claimed but not started."""
        dropped = self.hand.drop_unstarted()
        if not dropped:
            return 0
        attempts = [(run.id, run.fencing_token) for run in dropped]
        try:
            give_back(line, attempts)
        except DatabaseUnavailableError:
            self._is_sure = False
            line.close()
        self._show()
        self._around.ring(self.worker_queue, len(dropped))
        return len(dropped)

    def _work(self, runs: Sequence[ClaimedRun]) -> int:
        """Execute a claim; returns how many runs of it were executed here."""
        self.hand.take(runs)
        self._runs = {run.id: run for run in runs}
        began = time.monotonic()
        executed = 0
        while (run := self.hand.next()) is not None:
            self._show()
            run_began = time.monotonic()
            self.hand.record(self._execute(run))
            executed += 1
            if time.monotonic() - run_began > SLOW_SECONDS:
                self._pace.be_careful()
                self.give_back_unstarted(self._line)
                self._show()
                return executed
        self._show()
        self._pace.observe(executed, time.monotonic() - began)
        return executed

    def _execute(self, run: ClaimedRun) -> Outcome:
        try:
            outcome = self._around.executor.execute(run, interrupt=self.interrupt)
        except UnknownTaskError as error:
            return _unknown_task(run, error)
        if outcome.status is not Status.COMPLETED:
            self._around.tidy()
        return outcome

    def _exchange(self, limit: int) -> Taken:
        """Write what is finished and claim the next runs, however often the database goes away."""
        outcomes = self.hand.take_outcomes()
        if not outcomes and not limit:
            return Taken(frozenset(), (), None)
        delay = 0.05
        while True:
            try:
                calls_hooks = self._is_sure
                self._agree(outcomes)
                taken = self._finish(
                    self._line, outcomes, self._want(limit), calls_hooks=calls_hooks
                )
                break
            except DatabaseUnavailableError:
                self._is_sure = False
                self._line.close()
                threading.Event().wait(delay)
                delay = min(1.0, delay * 2)
        self._number += 1
        self._advance(taken, limit)
        self._settle(outcomes, taken, calls_hooks=calls_hooks)
        return taken

    def _agree(self, outcomes: Sequence[Outcome]) -> None:
        """After a lost reply: give back what the database says is ours and we know nothing of."""
        if self._is_sure:
            return
        known = [outcome.run_id for outcome in outcomes]
        give_back_unknown(self._line, self.holder.worker_id, self.holder.slot, known=known)
        self._is_sure = True

    def _want(self, limit: int) -> Want:
        return Want(
            worker_queue=self.worker_queue,
            limit=limit,
            number=self._number + 1,
            previous_number=self._number,
            low_water=self._low_water,
        )

    def _finish(
        self, line: Line, outcomes: Sequence[Outcome], want: Want, *, calls_hooks: bool
    ) -> Taken:
        written = [outcome for outcome in outcomes if outcome.status is not Status.CANCELED]
        with self._around.logs.taken() as entries:
            return finish_and_claim(
                line, self.holder, written, want, log_entries=entries, calls_hooks=calls_hooks
            )

    def _advance(self, taken: Taken, limit: int) -> None:
        """Next time look from here on, but once a second from the beginning again."""
        now = time.monotonic()
        if not limit:
            return
        if now - self._full_look_at >= _FULL_LOOK_SECONDS:
            self._full_look_at = now
            self._low_water = LONG_AGO
        elif taken.low_water is not None:
            self._low_water = taken.low_water - _SLACK

    def _settle(self, outcomes: Sequence[Outcome], taken: Taken, *, calls_hooks: bool) -> None:
        """Call the final hooks of what was written; find out what became of what was refused."""
        self._refused += [outcome for outcome in outcomes if outcome.run_id not in taken.finished]
        for outcome in outcomes if calls_hooks else ():
            is_final = outcome.run_id in taken.finished and outcome.status is not Status.QUEUED
            if is_final and outcome.has_final_hooks:
                self._around.executor.call_final_hooks(self._runs[outcome.run_id], outcome)
                self._called.append(outcome.run_id)
        try:
            if self._refused:
                for run_id in stop_attempts(self._line, self._refused):
                    self._around.executor.call_stored_final_hooks(run_id)
                    self._called.append(run_id)
                self._refused = []
            if self._called:
                finish_hook_calls(self._line, self._called)
                self._called = []
        except DatabaseUnavailableError:
            self._line.close()

    def _call_waiting_hooks(self) -> None:
        """Make the hook calls that moves without a worker, or lost workers, have left."""
        try:
            waiting = claim_hook_calls(self._line, self.holder, worker_queue=self.worker_queue)
            for run_id in waiting:
                self._around.executor.call_stored_final_hooks(run_id)
            if waiting:
                finish_hook_calls(self._line, waiting)
        except DatabaseUnavailableError:
            self._line.close()

    def _show(self) -> None:
        with self._showing:
            current = self.hand.current
            state = SlotState(
                index=self._index,
                slot=self.holder.slot,
                process_id=os.getpid(),
                claim_number=self._number,
                claimed=self.hand.claimed,
                started=self.hand.started,
                since=current[1] if current else 0.0,
                run_id=current[0].id if current else None,
            )
            self._around.board.write(state)


def _unknown_task(run: ClaimedRun, error: UnknownTaskError) -> Outcome:
    """Another worker may know it, being deployed just now; else the deployment is at fault."""
    described = json.dumps({"name": "UnknownTaskError", "message": str(error), "traceback": None})
    if run.attempt_number < run.max_attempts:
        return Outcome(
            run.id,
            run.fencing_token,
            Status.QUEUED,
            error=described,
            retry_after_seconds=UNKNOWN_TASK_SECONDS,
        )
    return Outcome(
        run.id, run.fencing_token, Status.SYSTEM_FAILURE, error=described, has_final_hooks=True
    )
