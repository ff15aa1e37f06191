"""One slot of a worker: claims runs, executes them one after another, writes what became of them.

Owns the drain loop. Knows nothing of Celery: whoever wakes it calls `drain`.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar
from uuid import UUID

from jobs_platform.domain.errors import DatabaseUnavailableError, UnknownTaskError
from jobs_platform.domain.lifecycle import Status
from jobs_platform.engine.claim import Taken, Want, finish_and_claim
from jobs_platform.engine.handoff import ClaimedRun, Holder, Outcome
from jobs_platform.engine.hook_call import release_hook_calls
from jobs_platform.engine.line import Line
from jobs_platform.engine.machine import move_to_machines
from jobs_platform.engine.slots import admit_freed
from jobs_platform.engine.stop import stop_attempts
from jobs_platform.engine.worker import give_back, give_back_unknown
from jobs_platform.runtime.board import Board, SlotState
from jobs_platform.runtime.failure import not_executed
from jobs_platform.runtime.final_hooks import CallsHooks, FinalHooks
from jobs_platform.runtime.hand import Hand
from jobs_platform.runtime.interrupt import Interrupt
from jobs_platform.runtime.log_buffer import LogBuffer
from jobs_platform.runtime.low_water import LowWater
from jobs_platform.runtime.pace import Distance, Pace

BUDGET_SECONDS = 1.0
"""A drain that has gone on for so long makes room for whatever else its process is to do."""
SLOW_SECONDS = 1.0
"""After a run this long nothing of the same claim is started: the keeper may have given it back."""
UNKNOWN_TASK_SECONDS = 5.0
"""A run of a task that this worker does not know waits so long for one that does."""
BROKEN_SECONDS = 1.0
"""A run that the platform itself failed to execute waits so long for its next attempt."""
STANDBY_SECONDS = 0.05
"""After its last run a slot waits so long for the next ring: it needs no message through Celery.
Other Celery tasks of the same process wait that long at most."""
HOOKS_SECONDS = 1.0
"""How often a busy slot looks for hook calls that others have left."""

_log = logging.getLogger(__name__)
_Answer = TypeVar("_Answer")


class Executes(CallsHooks, Protocol):
    """What a slot asks of the executor."""

    def execute(self, run: ClaimedRun, *, interrupt: Interrupt) -> Outcome: ...
    def max_duration_seconds(self, run: ClaimedRun) -> float | None: ...
    def memory_limit(self, run: ClaimedRun) -> int | None: ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all slots of a process share."""

    conninfo: str
    board: Board
    logs: LogBuffer
    executor: Executes
    ring: Callable[[str, int], object]
    stand_by: Callable[[str, str, float], bool]
    """Wait for a ring: worker queue, the slot's name, seconds; whether there was one."""
    tidy: Callable[[], None]
    """Called after each attempt: what the function left behind is not the next one's."""


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
        self._distance = Distance()
        self._number = 0
        self._low_water = LowWater()
        self._looked_for_hooks_at = self._looked_behind_at = 0.0
        self._runs: dict[UUID, ClaimedRun] = {}
        self._is_sure = True
        """Whether the database and this slot agree on what it has claimed."""
        self._hooks = FinalHooks(holder, around.executor, self.interrupt)
        self._showing = threading.Lock()
        self._writing = threading.Lock()
        """A claim is not forgotten while the watch is writing results of it."""
        self.worker_queue = ""
        self.is_draining = False
        self._has_admitted = False
        self._show()

    def drain(self, worker_queue: str) -> int:
        """Execute claimable runs until there are none, or the budget is used; returns how many."""
        self.is_draining = True
        try:
            return self._drain(worker_queue)
        except BaseException:
            self._is_sure = False  # what was claimed and not finished goes back at the next claim
            raise
        finally:
            self.is_draining = False

    def close(self) -> None:
        self._around.board.free(self._index)
        self._line.close()

    def write_outcomes(self, line: Line) -> None:
        """Write what is finished, on a connection of the watch, while this slot still executes."""
        with self._writing:
            outcomes = self.hand.take_outcomes()
            if not outcomes:
                return
            try:
                taken = self._finish(line, outcomes, Want(), calls_hooks=False)
                refused = [outcome for outcome in outcomes if outcome.run_id not in taken.finished]
                cancelled = stop_attempts(line, refused) if refused else frozenset()
                if cancelled:
                    release_hook_calls(line, cancelled)
            except BaseException:
                self.hand.put_back(outcomes)
                raise
        if cancelled or any(outcome.has_final_hooks for outcome in outcomes):
            self._around.ring(self.worker_queue, 1)
        for worker_queue, count in admit_freed(line, taken.freed).items():
            self._around.ring(worker_queue, count)

    def give_back_unstarted(self, line: Line) -> int:
        """Let others have what this slot has claimed but not started."""
        dropped = self.hand.drop_unstarted()
        if not dropped:
            return 0
        give_back(line, [(run.id, run.fencing_token) for run in dropped])
        self.hand.forget_dropped(dropped)
        self._around.board.given_back_at = time.monotonic()
        self._show()
        self._around.ring(self.worker_queue, len(dropped))
        return len(dropped)

    def _drain(self, worker_queue: str) -> int:
        self.worker_queue = worker_queue
        until = time.monotonic() + BUDGET_SECONDS
        self._low_water.rewind()
        executed = claims = 0
        was_woken, may_be_more = False, True
        while True:
            is_late = (
                time.monotonic() >= until and not was_woken
            )  # a ring is answered, however late
            is_over = self._around.board.is_stopping or is_late
            limit = 0 if is_over else self._pace.limit
            self._look_behind()
            was_beginning = self._low_water.is_beginning
            if not self._has_slots_to_give and (pause := self._distance.seconds):
                time.sleep(pause)
            taken = self._exchange(limit)
            self._distance.observe(len(taken.runs), is_full=len(taken.runs) == limit)
            may_be_more = bool(taken.runs) or (is_over and may_be_more)
            if taken.runs:
                claims, was_woken = claims + 1, False
                if claims == 1 and len(taken.runs) == limit:
                    self._around.ring(worker_queue, 1)  # there may be more than we can do
                executed += self._work()
            elif is_over:
                may_be_more = may_be_more or self._has_admitted
                break
            elif self._has_admitted or (not was_beginning and self._low_water.is_beginning):
                continue
            elif not executed:
                break
            else:
                if was_woken:  # by somebody who has left hook calls, perhaps
                    self._look_for_hooks(worker_queue, was_idle=True)
                was_woken, claims = self._stand_by(), 0
                if not was_woken:
                    break
        self._look_for_hooks(worker_queue, was_idle=not executed)
        if was_woken or (is_over and may_be_more and not self._around.board.is_stopping):
            self._around.ring(worker_queue, 1)
        return executed

    @property
    def _has_slots_to_give(self) -> bool:
        """Others wait, perhaps, for the slots of what is finished here, or have just got them."""
        return self._has_admitted or any(run.needs_slot for run in self._runs.values())

    def _stand_by(self) -> bool:
        name = f"{self.holder.worker_id}.{self.holder.slot}"
        return self._around.stand_by(self.worker_queue, name, STANDBY_SECONDS)

    def _look_behind(self) -> None:
        """Runs that were given back lie behind the low-water mark."""
        given_back_at = self._around.board.given_back_at
        if given_back_at > self._looked_behind_at and self._low_water.rewind(is_told=True):
            self._looked_behind_at = given_back_at

    def _look_for_hooks(self, worker_queue: str, *, was_idle: bool) -> None:
        """Make the hook calls that others have left; once a second while there are runs."""
        now = time.monotonic()
        if was_idle or now - self._looked_for_hooks_at >= HOOKS_SECONDS:
            self._looked_for_hooks_at = now
            self._insist(lambda: self._hooks.claim(self._line, worker_queue=worker_queue))
        self._insist(lambda: self._hooks.settle(self._line))

    def _work(self) -> int:
        """Execute a claim; returns how many runs of it were executed here."""
        began = time.monotonic()
        executed = 0
        while (run := self.hand.next()) is not None:
            self._show()
            if not self._pace.is_short(run.task_id):
                # It may hold the GIL for long, and nobody else knows what is finished here.
                self._insist(lambda: self.write_outcomes(self._line))
            run_began = time.monotonic()
            self.hand.record(self._execute(run))
            executed += 1
            took = time.monotonic() - run_began
            self._pace.observe_run(run.task_id, took)
            if took > SLOW_SECONDS:
                self._pace.be_careful()
                self._show()  # over, whatever the time that it takes to say so
                self._insist(lambda: self.give_back_unstarted(self._line))
                return executed
        self._show()
        self._pace.observe(executed, time.monotonic() - began)
        return executed

    def _execute(self, run: ClaimedRun) -> Outcome:
        try:
            outcome = self._around.executor.execute(run, interrupt=self.interrupt)
        except UnknownTaskError as error:
            return not_executed(run, error, after_seconds=UNKNOWN_TASK_SECONDS)
        except Exception as error:  # noqa: BLE001 - whatever it is, the run must not be forgotten
            _log.exception("Run %s could not be executed.", run.id)
            outcome = not_executed(run, error, after_seconds=BROKEN_SECONDS)
        self._around.tidy()
        return outcome

    def _exchange(self, limit: int) -> Taken:
        """Write what is finished and claim the next runs, however often the database goes away."""
        with self._writing:
            outcomes, runs = self.hand.take_outcomes(), self._runs
        if not outcomes and not limit:
            return Taken(frozenset(), (), None)
        began = time.monotonic()
        try:
            taken, calls_hooks = self._insist(lambda: self._try_exchange(outcomes, limit))
        except BaseException:
            self.hand.put_back(outcomes)
            raise
        if limit:
            is_full = len(taken.runs) == limit
            seconds = time.monotonic() - began
            self._low_water.observe(taken.low_water, is_full=is_full, seconds=seconds)
        self._number += 1
        self.hand.take(taken.runs)
        self._runs = {run.id: run for run in taken.runs}
        self._show()
        self._admit(taken)
        began = self.hand.begin_hooks()
        try:
            self._settle(outcomes, taken, runs, calls_hooks=calls_hooks)
        finally:
            self.hand.end_hooks()
        if time.monotonic() - began > SLOW_SECONDS:
            self._insist(lambda: self.give_back_unstarted(self._line))
        return taken

    def _admit(self, taken: Taken) -> None:
        """Give the slots that were freed to the next runs; what this slot can do it keeps."""
        admitted = self._insist(lambda: admit_freed(self._line, taken.freed))
        self._has_admitted = admitted[self.worker_queue] > 0
        admitted[self.worker_queue] -= self._pace.limit
        for worker_queue, count in (+admitted).items():
            self._around.ring(worker_queue, count)

    def _try_exchange(self, outcomes: Sequence[Outcome], limit: int) -> tuple[Taken, bool]:
        """The answer, and whether the hook calls of what was finished are this slot's to make."""
        calls_hooks = self._is_sure
        self._agree(outcomes)
        self.give_back_unstarted(self._line)  # where the watch has tried in vain
        want = self._want(limit)
        return self._finish(self._line, outcomes, want, calls_hooks=calls_hooks), calls_hooks

    def _insist(self, action: Callable[[], _Answer]) -> _Answer:
        """Do something to its end, however often the database goes away."""
        delay = 0.05
        while True:
            try:
                return action()
            except DatabaseUnavailableError:
                self._is_sure = False
                self._line.close()
                self._around.tidy()
                threading.Event().wait(delay)
                delay = min(1.0, delay * 2)

    def _agree(self, outcomes: Sequence[Outcome]) -> None:
        """After a lost reply: let go of what the database says is ours and we know nothing of."""
        if self._is_sure:
            return
        give_back_unknown(
            self._line,
            self.holder.worker_id,
            self.holder.slot,
            known=[(outcome.run_id, outcome.fencing_token) for outcome in outcomes],
            known_hook_calls=self._hooks.known_ids,
        )
        self._is_sure = True

    def _want(self, limit: int) -> Want:
        return Want(
            worker_queue=self.worker_queue,
            limit=limit,
            number=self._number + 1,
            previous_number=self._number,
            low_water=self._low_water.mark,
        )

    def _finish(
        self, line: Line, outcomes: Sequence[Outcome], want: Want, *, calls_hooks: bool
    ) -> Taken:
        written = [outcome for outcome in outcomes if outcome.status is not Status.CANCELED]
        move_to_machines(line, written)
        with self._around.logs.taken() as entries:
            return finish_and_claim(
                line,
                self.holder,
                written,
                want,
                log_entries=entries,
                calls_hooks=calls_hooks,
                with_slots=[run.id for run in self._runs.values() if run.needs_slot],
            )

    def _settle(
        self,
        outcomes: Sequence[Outcome],
        taken: Taken,
        runs: Mapping[UUID, ClaimedRun],
        *,
        calls_hooks: bool,
    ) -> None:
        """Call the final hooks of what was written; find out what became of what was refused.

        Without `calls_hooks` they are left to anybody: an earlier try may have left them already.
        """
        refused = [outcome for outcome in outcomes if outcome.run_id not in taken.finished]
        for outcome in outcomes if calls_hooks else ():
            is_ours = outcome.run_id in taken.finished and outcome.run_id in runs
            if is_ours and outcome.run_id in taken.broken:
                self._hooks.owe([outcome.run_id])
            elif is_ours and outcome.has_final_hooks and outcome.status is not Status.QUEUED:
                self._hooks.call(runs[outcome.run_id], outcome)
        if refused:
            self._stop(refused, calls_hooks=calls_hooks)
        self._insist(lambda: self._hooks.settle(self._line))

    def _stop(self, refused: Sequence[Outcome], *, calls_hooks: bool) -> None:
        stopped = self._insist(lambda: stop_attempts(self._line, refused))
        if calls_hooks:
            self._hooks.owe(stopped)
        elif stopped:
            self._insist(lambda: release_hook_calls(self._line, stopped))

    def _show(self) -> None:
        with self._showing:
            current, since = self.hand.current, self.hand.busy_since
            executor, run = self._around.executor, current[0] if current else None
            state = SlotState(
                index=self._index,
                slot=self.holder.slot,
                process_id=os.getpid(),
                claim_number=self._number,
                claimed=self.hand.claimed,
                started=self.hand.started,
                since=since or 0.0,
                run_id=run.id if run else None,
                max_duration=(executor.max_duration_seconds(run) if run else None) or 0.0,
                memory_limit=(executor.memory_limit(run) if run else None) or 0,
            )
            self._around.board.write(state)
