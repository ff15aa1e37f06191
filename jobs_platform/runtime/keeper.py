"""The keeper: a small process beside each worker that user code cannot hold up.

Renews the lease, notices at once when a pool child or the worker itself dies and brings back what
it executed, gives back runs that wait behind a child which holds its GIL, stops attempts hard that
were cancelled or have used up their maximum duration when their grace is over, and ends a shutdown
at its deadline. Imports no Django.

Started by the worker with one line of JSON on standard input (`Charge`).
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from uuid import UUID

from jobs_platform.domain.errors import DatabaseUnavailableError
from jobs_platform.engine.channels import CANCEL_CHANNEL, cancelled_attempt
from jobs_platform.engine.death import Death
from jobs_platform.engine.line import Line
from jobs_platform.engine.read_attempt import cancelled_runs
from jobs_platform.engine.recover import Progress, Recovered, recover_slot, recover_worker
from jobs_platform.engine.worker import give_back_behind, renew_lease, slots_of_worker
from jobs_platform.runtime.board import Board
from jobs_platform.runtime.endings import Endings, exists
from jobs_platform.runtime.memory_watch import MemoryWatch

STUCK_SECONDS = 2.0
"""Runs behind one that executes for so long, which its own process should have given back."""
TURN_SECONDS = 0.5
LEASE_MARGIN_SECONDS = 1.0
"""Attempts are stopped so long before the lease ends."""
LOCK_SECONDS = 1.0
"""Whoever holds the lock of a run for long must not keep the lease from being renewed."""
GROUP_SIGNAL_SECONDS = 0.1
"""A signal to a whole process group may end a child before the worker knows that it is to stop."""
DEATH_SECONDS = 2.0
"""The longest wait for the end of a process after SIGKILL."""

_log = logging.getLogger("jobs_platform.keeper")


@dataclass(frozen=True, slots=True)
class Charge:
    """What a keeper is told."""

    conninfo: str
    board: str
    worker_id: int
    worker_pid: int
    has_children: bool
    """Slots are processes (prefork) and can be stopped one by one; else they are threads."""
    lease_seconds: float
    heartbeat_seconds: float
    shutdown_timeout_seconds: float
    cancel_grace_seconds: float
    """An attempt that was told to stop and does not end by itself is stopped hard after this."""
    larger_machines: dict[str, str] = field(default_factory=dict)
    """Task id → where it is tried once more after it ran out of memory."""

    def to_json(self) -> str:
        return json.dumps(asdict(self))


class Keeper:
    """One worker's keeper. `run` returns when the worker is gone and nothing of it is left."""

    def __init__(self, charge: Charge) -> None:
        self._charge = charge
        self._board = Board(Path(charge.board))
        self._line = Line(
            charge.conninfo,
            application_name=f"jobs keeper {charge.worker_id}",
            lock_timeout_seconds=LOCK_SECONDS,
        )
        self._endings = Endings()
        self._endings.watch(charge.worker_pid)
        self._renewed_at = 0.0
        self._stopping_since: float | None = None
        self._condemned: dict[UUID, float] = {}
        self._stopped: dict[int, Death | None] = {}
        """Slots that were stopped hard here, and why, if it was the doing of their attempt."""
        self._memory = MemoryWatch()
        self._recovered: set[int] = set()
        self._is_over = False

    def run(self) -> None:
        threading.Thread(target=self._guard_lease, name="jobs-lease", daemon=True).start()
        while True:
            try:
                if not self._turn():
                    return
            except DatabaseUnavailableError as error:
                _log.warning("The keeper of worker %s waits: %s", self._charge.worker_id, error)
                self._line.close()
                if self._is_forsaken():
                    self._board.remove()
                    return
                time.sleep(0.2)

    def _is_forsaken(self) -> bool:
        """The worker is gone and so is its lease: without a database the rest is the clock's."""
        is_lapsed = time.monotonic() > self._board.lease_until
        return is_lapsed and not exists(self._charge.worker_pid)

    def _turn(self) -> bool:
        """One look at everything; False when the work is done."""
        if time.monotonic() - self._renewed_at >= self._charge.heartbeat_seconds:
            self._renew()
            self._recover_remains()
            self._look_up_cancelled()
        self._watch_children()
        ended = self._endings.ended(self._wait())
        if self._charge.worker_pid in ended:
            self._end()
            return False
        self._memory.count_kills()
        for process_id in ended:
            self._note_memory(process_id)
            self._recover(process_id, is_interrupted=self._is_stopping_soon())
        self._free_those_behind()
        self._stop_condemned()
        self._stop_overdue()
        self._end_shutdown()
        return True

    def _renew(self) -> None:
        now = time.monotonic()
        lease = self._charge.lease_seconds
        if not renew_lease(self._line, self._charge.worker_id, lease_seconds=lease):
            _log.error("Worker %s lost its lease and is stopped.", self._charge.worker_id)
            self._kill_everything()
        else:
            self._board.lease_until = now + lease
        self._renewed_at = now

    def _guard_lease(self) -> None:
        """Nothing may execute beyond the lease: a thread of its own, as any query may hang."""
        while time.monotonic() < self._board.lease_until - LEASE_MARGIN_SECONDS:
            time.sleep(0.1)
            if self._is_over:
                return
        _log.error("Worker %s could not renew its lease.", self._charge.worker_id)
        self._kill_everything()

    def _recover_remains(self) -> None:
        """A statement that a dead child had sent may still have claimed runs after its recovery."""
        slots = slots_of_worker(self._line, self._charge.worker_id)
        known = {state.slot for state in self._board.states()}  # a slot is shown before it claims
        for slot in slots - known:
            self._recover(slot, is_interrupted=slot in self._recovered)

    def _look_up_cancelled(self) -> None:
        """In case a notice of cancellation was lost."""
        current = [state.run_id for state in self._board.states() if state.run_id]
        for run_id in cancelled_runs(self._line, current) if current else ():
            self._condemn(run_id)

    def _condemn(self, run_id: UUID) -> None:
        grace = self._charge.cancel_grace_seconds
        self._condemned.setdefault(run_id, time.monotonic() + grace)

    def _is_stopping_soon(self) -> bool:
        deadline = time.monotonic() + GROUP_SIGNAL_SECONDS
        while not self._board.is_stopping and time.monotonic() < deadline:
            time.sleep(0.01)
        return self._board.is_stopping

    def _watch_children(self) -> None:
        states = self._board.states() if self._charge.has_children else []
        for state in states:
            self._endings.watch(state.process_id)
        self._memory.look(state.process_id for state in states if state.memory_limit)

    def _wait(self) -> set[int]:
        """Sleep until a process dies, a notice of cancellation comes, or the turn is over."""
        notices, ready = self._line.wait_for_notices(
            CANCEL_CHANNEL,
            TURN_SECONDS,
            descriptors=self._endings.descriptors,
        )
        for notice in notices:
            attempt = cancelled_attempt(notice)
            if attempt is not None:
                self._condemn(attempt[0])
        return ready

    def _note_memory(self, slot: int) -> None:
        """Whether a child that nobody here has stopped died of its memory."""
        state = next((found for found in self._board.states() if found.slot == slot), None)
        if slot in self._stopped or state is None or state.run_id is None:
            return
        if self._memory.is_out_of_memory(slot, limit=state.memory_limit):
            machines = self._charge.larger_machines
            self._stopped[slot] = Death(
                state.run_id, is_out_of_memory=True, larger_machines=machines
            )

    def _recover(self, slot: int, *, is_interrupted: bool = False) -> None:
        """A pool child is dead: what it had started has used its attempt, the rest goes back."""
        state = next((found for found in self._board.states() if found.slot == slot), None)
        progress = Progress(state.claim_number, state.started) if state else None
        death = self._stopped.get(slot)
        if slot in self._stopped:
            # It may have gone on to another run in the last moment, which did nothing wrong.
            is_interrupted = death is None or (state is not None and state.run_id != death.run_id)
        recovered = recover_slot(
            self._line,
            self._charge.worker_id,
            slot,
            progress=progress,
            is_interrupted=is_interrupted,
            death=death,
        )
        _report(f"Process {slot} died", recovered)
        if state:
            self._board.free(state.index)
        self._endings.forget(slot)
        self._stopped.pop(slot, None)
        self._recovered.add(slot)

    def _free_those_behind(self) -> None:
        """A process whose GIL user code holds cannot itself give back what it has not started."""
        for state in self._board.states():
            is_stuck = state.since and time.monotonic() - state.since > STUCK_SECONDS
            if is_stuck and state.started < state.claimed:
                given_back = give_back_behind(
                    self._line,
                    self._charge.worker_id,
                    slot=state.slot,
                    number=state.claim_number,
                    started=state.started,
                )
                if given_back:
                    self._board.given_back_at = time.monotonic()

    def _stop_condemned(self) -> None:
        now = time.monotonic()
        current = {state.run_id: state for state in self._board.states() if state.run_id}
        deaths = {}
        for run_id in [run_id for run_id, deadline in self._condemned.items() if now > deadline]:
            del self._condemned[run_id]
            if run_id in current:
                _log.warning("The cancelled run %s does not end and is stopped.", run_id)
                deaths[current[run_id].slot] = Death(run_id)
        self._kill(deaths)

    def _stop_overdue(self) -> None:
        now, grace = time.monotonic(), self._charge.cancel_grace_seconds
        deaths = {}
        for state in self._board.states():
            limit = state.max_duration
            if state.run_id and limit and now > state.since + limit + grace:
                _log.warning(
                    "Run %s does not end after its %g s and is stopped.", state.run_id, limit
                )
                deaths[state.slot] = Death(state.run_id, max_duration_seconds=limit)
        self._kill(deaths)

    def _kill(self, deaths: Mapping[int, Death]) -> None:
        """Stop these slots hard: their processes. With threads, the runs of the others go back."""
        self._stopped.update(deaths)
        if deaths and self._charge.has_children:
            kill(deaths)  # a pool child's slot is its process id
        elif deaths:
            self._interrupt_everything()

    def _end_shutdown(self) -> None:
        if not self._board.is_stopping:
            return
        now = time.monotonic()
        self._stopping_since = self._stopping_since or now
        if now - self._stopping_since < self._charge.shutdown_timeout_seconds:
            return
        _log.warning("The shutdown took too long; what still executes is given back.")
        self._interrupt_everything()
        self._kill_everything()

    def _interrupt_everything(self) -> None:
        """Stop all slots and give back what they executed: the platform stopped it, not they."""
        states = self._board.states()
        for state in states:
            self._stopped.setdefault(state.slot, None)
        kill({state.process_id for state in states})
        for state in states:
            self._recover(state.slot)

    def _kill_everything(self) -> None:
        """Children first: once the worker is gone nobody may execute for it."""
        kill({state.process_id for state in self._board.states()})
        kill([self._charge.worker_pid])

    def _end(self) -> None:
        """The worker is gone: stop what is left of it, recover what it held, and leave."""
        self._is_over = True
        states = self._board.states()
        kill({state.process_id for state in states})
        is_asked = self._board.is_stopping
        deadline = time.monotonic() + self._charge.lease_seconds
        while time.monotonic() < deadline:
            try:
                for state in states:
                    self._recover(state.slot, is_interrupted=is_asked)
                _report("The worker is gone", recover_worker(self._line, self._charge.worker_id))
                break
            except DatabaseUnavailableError:
                self._line.close()
                time.sleep(0.5)
        self._board.remove()


def kill(process_ids: Iterable[int]) -> None:
    """End processes; returns when they have ended, unless the kernel cannot."""
    endings = Endings()
    for process_id in process_ids:
        endings.watch(process_id)
        with contextlib.suppress(ProcessLookupError):
            os.kill(process_id, signal.SIGKILL)
    endings.wait(seconds=DEATH_SECONDS)


def _report(what: str, recovered: Recovered) -> None:
    if recovered.claims:
        _log.warning(
            "%s: %s runs are retried, %s crashed, %s timed out, %s given back.",
            what,
            len(recovered.retried),
            len(recovered.crashed),
            len(recovered.timed_out),
            len(recovered.given_back),
        )


def main() -> None:
    """Keep the worker that is described on standard input."""
    logging.basicConfig(level=logging.INFO, format="[keeper] %(message)s")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # a keeper ends after its worker, never before
    Keeper(Charge(**json.loads(sys.stdin.readline()))).run()


if __name__ == "__main__":
    main()
