"""A worker in this process with the clock beside it, which needs neither Celery nor a beat."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from jobs_platform.delivery.beat import Clock
from jobs_platform.engine import caller
from jobs_platform.engine.due import what_is_due
from jobs_platform.engine.environments import environment_id
from jobs_platform.engine.line import Line
from tests.executing import InProcessWorker


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

    def look(self) -> None:
        """Let the clock do what is due; executes nothing."""
        self._clock.look()

    def drain(self, worker_queue: str | None = None) -> int:
        with self._looking:
            self.look()
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
