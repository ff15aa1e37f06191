"""Committed rows, and a worker in this process with the clock beside it, for every example."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from jobs_platform.delivery.beat import Clock
from jobs_platform.engine import caller
from jobs_platform.engine.due import what_is_due
from jobs_platform.engine.environments import environment_id
from jobs_platform.engine.line import Line
from tasks.examples import clean_cancellation
from tasks.models import ImportedRow, Invoice, RejectedRow
from tests.executing import InProcessWorker
from tests.world import transactional_db as committed_runs  # noqa: F401


class ClockedWorker(InProcessWorker):
    """A worker of all machines that lets the clock look before it does: delays end, runs expire,
    and retries come back without a beat.
    """

    def __init__(self) -> None:
        super().__init__(limits_memory=True)
        self._clock = Clock()
        self._line = Line(caller.conninfo(), application_name="jobs test clock")
        self._environment_id = environment_id()
        self._looking = threading.Lock()

    def drain(self, worker_queue: str | None = None) -> int:
        with self._looking:
            self._clock.look()
            due = what_is_due(self._line, environment_id=self._environment_id)
        places = {self.worker_queue, *due.claimable, *due.hook_calls}
        return sum(super(ClockedWorker, self).drain(place) for place in sorted(places))

    def close(self) -> None:
        super().close()
        self._clock.close()
        self._line.close()


@contextmanager
def clocked_worker() -> Iterator[ClockedWorker]:
    """A worker with a clock, for one test."""
    worker = ClockedWorker()
    try:
        yield worker
    finally:
        worker.close()


@pytest.fixture
def transactional_db(committed_runs: None) -> Iterator[None]:  # noqa: F811
    yield
    for model in (ImportedRow, Invoice, RejectedRow):
        model.objects.all().delete()


@pytest.fixture(autouse=True)
def _exports_are_the_tests_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clean_cancellation, "FOLDER", tmp_path)


@pytest.fixture
def worker(transactional_db: None) -> Iterator[ClockedWorker]:
    with clocked_worker() as worker:
        yield worker
