"""Executes runs in this process, by the real engine and the real executor, without Celery."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from time import monotonic

from django.db import connections

from jobs_platform.domain.lifecycle import LIVE
from jobs_platform.engine import caller
from jobs_platform.engine.environments import environment_id
from jobs_platform.engine.line import Line
from jobs_platform.engine.worker import register_worker
from jobs_platform.models import HookCall, Run
from jobs_platform.runtime.board import Board
from jobs_platform.runtime.capture import Capture
from jobs_platform.runtime.executor import Executor
from jobs_platform.runtime.log_buffer import LogBuffer
from jobs_platform.runtime.process import SPARE, WorkerIdentity, WorkerProcess
from jobs_platform.runtime.slot import Surroundings
from jobs_platform.sdk import ports
from tests.waiting import wait_until

LEASE_SECONDS = 600.0
PAUSE_SECONDS = 0.005
_MAKE_DUE = "UPDATE jobs_run SET run_at = now() WHERE is_claimable AND run_at > now()"


class InProcessWorker:
    """A registered worker whose slots are the threads that drain it. Needs `transactional_db`: it
    talks over connections of its own, as workers do, and sees only what is committed.
    """

    def __init__(self, worker_queue: str = "default") -> None:
        self.worker_queue = worker_queue
        conninfo, environment = caller.conninfo(), environment_id()
        configuration = ports.configuration()
        with Line(conninfo, application_name="jobs test worker") as line:
            self.worker_id = register_worker(
                line,
                environment_id=environment,
                name="test",
                worker_queues=[worker_queue],
                pool="test",
                slots=1,
                lease_seconds=LEASE_SECONDS,
            )
        self._board = Board.create(capacity=SPARE, lease_until=monotonic() + LEASE_SECONDS)
        self._logs = LogBuffer()
        self._executor = Executor(configuration, self._logs.add)
        self._process = WorkerProcess(
            WorkerIdentity(self.worker_id, environment, configuration.environment),
            Surroundings(
                conninfo=conninfo,
                board=self._board,
                logs=self._logs,
                executor=self._executor,
                ring=lambda _worker_queue, _wanted: None,
                stand_by=lambda _worker_queue, _slot, _seconds: False,
                tidy=lambda: None,
            ),
            places=range(SPARE),
            parent_id=None,
        )

    def start(self) -> None:
        """Call the `on_worker_start` hooks, as a worker does before its first run."""
        self._executor.start()

    def drain(self) -> int:
        """Execute what is claimable now; returns how many attempts that were."""
        return self._process.drain(self.worker_queue)

    # What runs print becomes their log lines. The capture begins here and not with the worker:
    # pytest puts other streams in place between a test's fixtures and its call.
    def execute_until_idle(self, *, timeout: float = 20.0, hurry: bool = False) -> None:
        """Execute until every run is over, also retries, which `hurry` does not let wait."""

        def is_idle() -> bool:
            if hurry:
                _make_due()
            while self.drain():
                pass
            is_owed = Run.objects.filter(status__in=LIVE).exists() or HookCall.objects.exists()
            return not is_owed and self._logs.is_idle

        with Capture():
            wait_until(is_idle, timeout, "all runs to be over")

    @contextmanager
    def in_background(self) -> Iterator[None]:
        """Execute whatever comes in a thread, while the test's own thread polls."""
        is_over = threading.Event()

        def work() -> None:
            try:
                while not is_over.wait(PAUSE_SECONDS):
                    self.drain()
            finally:
                connections.close_all()

        with Capture(), ThreadPoolExecutor(1, "jobs-test-worker") as pool:
            working = pool.submit(work)
            try:
                yield
            finally:
                is_over.set()
                working.result()

    def close(self) -> None:
        self._process.stop()
        self._executor.stop()
        self._board.remove()


@contextmanager
def worker_in_process(worker_queue: str = "default") -> Iterator[InProcessWorker]:
    """A worker for one test."""
    worker = InProcessWorker(worker_queue)
    try:
        yield worker
    finally:
        worker.close()


def _make_due() -> None:
    with connections["default"].cursor() as cursor:
        cursor.execute(_MAKE_DUE)
