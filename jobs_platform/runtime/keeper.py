"""The keeper: a small process beside each worker that user code cannot hold up.

Renews the lease, notices at once when a pool child or the worker itself dies and brings back what
it executed, gives back runs that wait behind a child which holds its GIL, stops cancelled attempts
hard when their grace is over, and ends a shutdown at its deadline. Imports no Django.

Started by the worker with one line of JSON on standard input (`Charge`).
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import UUID

from jobs_platform.domain.errors import DatabaseUnavailableError
from jobs_platform.engine.channels import CANCEL_CHANNEL
from jobs_platform.engine.line import Line
from jobs_platform.engine.recover import Progress, Recovered, recover_slot, recover_worker
from jobs_platform.engine.worker import give_back_behind, renew_lease
from jobs_platform.runtime.board import Board, SlotState
from jobs_platform.runtime.endings import Endings

GRACE_SECONDS = 30.0
"""A cancelled attempt that does not end by itself is stopped hard after this."""
STUCK_SECONDS = 2.0
"""Runs behind one that executes for so long, which its own process should have given back."""
TURN_SECONDS = 0.5

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

    def to_json(self) -> str:
        return json.dumps(asdict(self))


class Keeper:
    """One worker's keeper. `run` returns when the worker is gone and nothing of it is left."""

    def __init__(self, charge: Charge) -> None:
        self._charge = charge
        self._board = Board(Path(charge.board))
        self._line = Line(charge.conninfo, application_name=f"jobs keeper {charge.worker_id}")
        self._endings = Endings()
        self._endings.watch(charge.worker_pid)
        self._renewed_at = time.monotonic()
        self._stopping_since: float | None = None
        self._condemned: dict[tuple[UUID, int], float] = {}

    def run(self) -> None:
        while True:
            try:
                if not self._turn():
                    return
            except DatabaseUnavailableError as error:
                _log.warning("The keeper of worker %s waits: %s", self._charge.worker_id, error)
                self._line.close()
                self._guard_lease()
                time.sleep(0.2)

    def _turn(self) -> bool:
        """One look at everything; False when the work is done."""
        self._renew()
        self._watch_children()
        ended = self._endings.ended(self._wait())
        if self._charge.worker_pid in ended:
            self._end()
            return False
        for process_id in ended:
            self._recover(process_id)
        self._free_those_behind()
        self._stop_condemned()
        self._end_shutdown()
        return True

    def _renew(self) -> None:
        now = time.monotonic()
        if now - self._renewed_at < self._charge.heartbeat_seconds:
            return
        lease = self._charge.lease_seconds
        if not renew_lease(self._line, self._charge.worker_id, lease_seconds=lease):
            _log.error("Worker %s lost its lease and is stopped.", self._charge.worker_id)
            self._kill_everything()
            return
        self._renewed_at = now
        self._board.lease_until = now + lease

    def _guard_lease(self) -> None:
        """Without a database nothing may execute beyond the lease."""
        if time.monotonic() > self._board.lease_until - 1:
            self._kill_everything()

    def _watch_children(self) -> None:
        for state in self._board.states() if self._charge.has_children else ():
            self._endings.watch(state.process_id)

    def _wait(self) -> set[int]:
        """Sleep until a process dies, a notice of cancellation comes, or the turn is over."""
        notices, ready = self._line.wait_for_notices(
            CANCEL_CHANNEL,
            TURN_SECONDS,
            descriptors=self._endings.descriptors,
        )
        for notice in notices:
            run_id, _, token = notice.partition(":")
            self._condemned[UUID(run_id), int(token)] = time.monotonic() + GRACE_SECONDS
        return ready

    def _recover(self, slot: int, *, is_interrupted: bool = False) -> None:
        """A pool child is dead: what it had started has used its attempt, the rest goes back."""
        state = next((found for found in self._board.states() if found.slot == slot), None)
        progress = Progress(state.claim_number, state.started) if state else None
        recovered = recover_slot(
            self._line,
            self._charge.worker_id,
            slot,
            progress=progress,
            is_interrupted=is_interrupted,
        )
        _report(f"Process {slot} died", recovered)
        if state:
            self._board.free(state.index)
        self._endings.forget(slot)

    def _free_those_behind(self) -> None:
        """A process whose GIL user code holds cannot itself give back what it has not started."""
        for state in self._board.states():
            is_stuck = state.since and time.monotonic() - state.since > STUCK_SECONDS
            if is_stuck and state.started < state.claimed:
                give_back_behind(
                    self._line,
                    self._charge.worker_id,
                    slot=state.slot,
                    number=state.claim_number,
                    started=state.started,
                )

    def _stop_condemned(self) -> None:
        now = time.monotonic()
        current = {state.run_id: state for state in self._board.states() if state.run_id}
        for (run_id, token), deadline in list(self._condemned.items()):
            state = current.get(run_id)
            if state is None:
                if now > deadline:
                    del self._condemned[run_id, token]
            elif now > deadline:
                _log.warning("The cancelled run %s does not end and is stopped.", run_id)
                del self._condemned[run_id, token]
                self._kill(state)

    def _kill(self, state: SlotState) -> None:
        """Stop an attempt hard: its process. With threads, the other runs of it go back."""
        if not self._charge.has_children:
            self._interrupt_everything()
        with contextlib.suppress(ProcessLookupError):
            os.kill(state.process_id, signal.SIGKILL)

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
        if self._charge.has_children:
            self._kill_children(states)
        else:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._charge.worker_pid, signal.SIGKILL)
        for state in states:
            self._recover(state.slot, is_interrupted=True)

    def _kill_everything(self) -> None:
        """Children first: once the worker is gone nobody may execute for it."""
        self._kill_children(self._board.states())
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._charge.worker_pid, signal.SIGKILL)

    def _kill_children(self, states: list[SlotState]) -> None:
        for state in states if self._charge.has_children else ():
            with contextlib.suppress(ProcessLookupError):
                os.kill(state.process_id, signal.SIGKILL)

    def _end(self) -> None:
        """The worker is gone: stop what is left of it, recover what it held, and leave."""
        states = self._board.states()
        self._kill_children(states)
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


def _report(what: str, recovered: Recovered) -> None:
    if recovered.claims:
        _log.warning(
            "%s: %s runs are retried, %s crashed, %s given back.",
            what,
            len(recovered.retried),
            len(recovered.crashed),
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
