"""Waits for runs by asking for their status. Must not be used by code that a worker awaits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from uuid import UUID

from asgiref.sync import sync_to_async

from jobs_platform.domain import ids
from jobs_platform.domain.clock import monotonic
from jobs_platform.domain.durations import Duration, to_seconds
from jobs_platform.domain.errors import OpenTransactionError, PollTimeoutError
from jobs_platform.domain.lifecycle import Status, is_final
from jobs_platform.sdk import ports
from jobs_platform.sdk.values import Run

FIRST_INTERVAL_SECONDS = 0.02
"""Most runs are short: ask soon, then less and less often, up to the caller's interval."""

MIN_INTERVAL_SECONDS = 0.01


class _Poll:
    """When to ask again, and when to give up."""

    def __init__(self, run_id: UUID, interval: Duration, timeout: Duration | None) -> None:
        self.run_id = run_id
        self.interval = to_seconds(interval, name="poll_interval", minimum=MIN_INTERVAL_SECONDS)
        self.timeout = None if timeout is None else to_seconds(timeout, name="timeout")
        self.started = monotonic()

    def pauses(self) -> Iterator[float]:
        pause = min(FIRST_INTERVAL_SECONDS, self.interval)
        while True:
            if self.timeout is not None:
                pause = min(pause, max(0.0, self.started + self.timeout - monotonic()))
            yield pause
            pause = min(pause * 1.5, self.interval)

    def check(self, status: Status) -> None:
        elapsed = monotonic() - self.started
        if self.timeout is not None and elapsed >= self.timeout:
            text = ids.encode("run", self.run_id)
            raise PollTimeoutError(id=text, status=str(status), seconds=self.timeout)


def poll(run_id: UUID, *, interval: Duration, timeout: Duration | None) -> Run:
    """Block until the run is final; `PollTimeoutError` when it takes longer than `timeout`."""
    state = _Poll(run_id, interval, timeout)
    for pause in state.pauses():
        status, _ = ports.engine().status_of(run_id)
        if is_final(status):
            break
        state.check(status)
        time.sleep(pause)
    return ports.engine().retrieve(run_id)


async def apoll(
    run_id: UUID,
    *,
    interval: Duration,
    timeout: Duration | None,  # noqa: ASYNC109 - as in its twin
) -> Run:
    """`poll` for async code."""
    state = _Poll(run_id, interval, timeout)
    for pause in state.pauses():
        status, _ = await sync_to_async(ports.engine().status_of)(run_id)
        if is_final(status):
            break
        state.check(status)
        await asyncio.sleep(pause)
    return await sync_to_async(ports.engine().retrieve)(run_id)


def refuse_open_transaction(verb: str) -> None:
    """Whoever polls inside the transaction that triggers the run waits for ever."""
    if ports.engine().in_transaction():
        raise OpenTransactionError(verb=verb)
