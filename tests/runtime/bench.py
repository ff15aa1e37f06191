"""A slot on the bench: a real database, a real board, and an executor that does as it is told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID

import psycopg
import pytest

from jobs_platform.domain.errors import DatabaseUnavailableError
from jobs_platform.domain.lifecycle import LIVE, Status
from jobs_platform.engine.handoff import ClaimedRun, Outcome
from jobs_platform.engine.line import Line
from jobs_platform.models import Run
from jobs_platform.runtime.board import Board
from jobs_platform.runtime.interrupt import Interrupt
from jobs_platform.runtime.log_buffer import LogBuffer
from jobs_platform.runtime.slot import Slot, Surroundings
from jobs_platform.runtime.watch import Watch
from tests.races.beside import Beside, beside_of
from tests.waiting import wait_until
from tests.world import World, completed

FAR = 3600.0
Act = Callable[[ClaimedRun, Interrupt], Outcome]


class FakeExecutor:
    """The executor's port. Runs complete unless the test says otherwise of their task."""

    def __init__(self) -> None:
        self.acts: dict[str, Act] = {}
        self.executed: list[UUID] = []
        self.hooks: list[tuple[UUID, str]] = []

    def execute(self, run: ClaimedRun, *, interrupt: Interrupt) -> Outcome:
        self.executed.append(run.id)
        limit = self.max_duration_seconds(run)
        interrupt.begin(run.id, run.fencing_token, max_duration_seconds=limit)
        try:
            act = self.acts.get(run.task_id)
            return act(run, interrupt) if act else completed(run, "1")
        finally:
            interrupt.end()

    def max_duration_seconds(self, run: ClaimedRun) -> float | None:
        return run.max_duration_seconds

    def memory_limit(self, run: ClaimedRun) -> int | None:
        return None

    def call_final_hooks(self, run: ClaimedRun, outcome: Outcome) -> None:
        self.hooks.append((run.id, str(outcome.status)))

    def call_stored_final_hooks(self, run_id: UUID, *, interrupt: Interrupt) -> None:
        self.hooks.append((run_id, "stored"))


class Brake:
    """A task that goes on until the test lets it."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self._released = threading.Event()

    def __call__(self, run: ClaimedRun, interrupt: Interrupt) -> Outcome:
        self.begun.set()
        assert self._released.wait(30)
        return completed(run, "1")

    def release(self) -> None:
        self._released.set()


class LossyLine(Line):
    """A line whose connection is lost at chosen statements, before or after they were executed."""

    def __init__(self, world: World, name: str) -> None:
        super().__init__(world.conninfo, application_name=name)
        self._world = world
        self.losses: dict[int, str] = {}
        self.count = 0

    def execute(self, name: str, params: Any) -> list[Any]:
        return self._lossy(lambda: super(LossyLine, self).execute(name, params))

    def pipeline(self, statements: Any) -> list[list[Any]]:
        return self._lossy(lambda: super(LossyLine, self).pipeline(statements))

    def _lossy(self, work: Callable[[], Any]) -> Any:
        self.count += 1
        moment = self.losses.pop(self.count, None)
        if moment == "before":
            self._terminate()
        answer = work()
        if moment == "after":
            self._terminate()
            raise DatabaseUnavailableError(reason="the reply was lost")
        return answer

    def _terminate(self) -> None:
        terminate(self._world, self.connection.info.backend_pid)


def terminate(world: World, process_id: int) -> None:
    with psycopg.connect(world.conninfo, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [process_id])


class Bench:
    """One slot, its watch where a test starts it, and what they have done."""

    def __init__(self, world: World, board: Board, beside: Beside) -> None:
        self.world = world
        self.board = board
        self.beside = beside
        self.executor = FakeExecutor()
        self.logs = LogBuffer()
        self.rings: list[tuple[str, int]] = []
        self.tidied = 0
        self.on_stand_by: Callable[[], bool] = lambda: False
        """What happens while a slot stands by; whether it is woken."""
        self.around = Surroundings(
            conninfo=world.conninfo,
            board=board,
            logs=self.logs,
            executor=self.executor,
            ring=lambda worker_queue, wanted: self.rings.append((worker_queue, wanted)),
            stand_by=self._stand_by,
            tidy=self._tidy,
        )
        self._slots: list[Slot] = []
        self._watches: list[Watch] = []
        self.slot = self.new_slot()

    def new_slot(self, *, lossy: bool = False) -> Slot:
        number = len(self._slots) + 1
        slot = Slot(replace(self.world.holder, slot=number), number - 1, self.around)
        if lossy:
            slot._line = LossyLine(self.world, "lossy")
        self._slots.append(slot)
        return slot

    def watch(self, *slots: Slot) -> Watch:
        watch = Watch(lambda: list(slots or [self.slot]), self.around, parent_id=None)
        self._watches.append(watch)
        watch.start()
        watch.wake()
        return watch

    def start_drain(self, slot: Slot | None = None) -> Future[int]:
        return self.beside.start(lambda: (slot or self.slot).drain("default"))

    def drain_everything(self, slot: Slot | None = None) -> None:
        """Drain until every run is over; retries need not wait."""
        deadline = time.monotonic() + 30
        while Run.objects.filter(status__in=LIVE).exists():
            assert time.monotonic() < deadline, Run.objects.values_list("status", flat=True)
            self.world.make_due()
            (slot or self.slot).drain("default")

    def statuses(self, ids: list[UUID]) -> list[str]:
        found = dict(Run.objects.filter(id__in=ids).values_list("id", "status"))
        return [found[run_id] for run_id in ids]

    def wait_for(self, ids: list[UUID], *wanted: Status) -> None:
        statuses = [str(status) for status in wanted]
        wait_until(lambda: self.statuses(ids) == statuses, 20, lambda: str(self.statuses(ids)))

    def _stand_by(self, worker_queue: str, slot: str, seconds: float) -> bool:
        return self.on_stand_by()

    def _tidy(self) -> None:
        self.tidied += 1

    def close(self) -> None:
        for watch in self._watches:
            watch.stop()
        for slot in self._slots:
            slot.close()


@contextmanager
def benches(world: World) -> Iterator[Bench]:
    board = Board.create(capacity=8, lease_until=time.monotonic() + FAR)
    try:
        with beside_of(world) as beside:
            bench = Bench(world, board, beside)
            try:
                yield bench
            finally:
                bench.close()
    finally:
        board.remove()


@pytest.fixture
def bench(world: World) -> Iterator[Bench]:
    with benches(world) as made:
        yield made
