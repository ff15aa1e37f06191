"""Jobs that do nothing, or do nothing for a while."""

from __future__ import annotations

import time
from typing import Any

from benchmarks import meter
from jobs_platform import Queue, task


@task(id="bench-noop")
def noop(payload: dict[str, Any]) -> None:
    meter.tick(payload["number"])


@task(id="bench-long")
def long(payload: dict[str, Any]) -> None:
    """Sleeps, as a task does that waits for somebody else's server."""
    meter.tick(payload["number"])
    time.sleep(payload["seconds"])


@task(id="bench-limited", queue=Queue("bench-limited", concurrency_limit=50))
def limited(payload: dict[str, Any]) -> None:
    """Of which no more than fifty may run at once."""
    meter.tick(payload["number"])
