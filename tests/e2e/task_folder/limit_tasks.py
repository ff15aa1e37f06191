"""Tasks that go beyond a limit of theirs, and those that hold the GIL while they do."""

from __future__ import annotations

import time
from typing import Any

from jobs_platform import Context, OutOfMemory, Retry, task
from tests.e2e.journal import live
from tests.e2e.task_folder.crash_tasks import (
    HOOKS,
    QUICK,
    async_sleeper,
    holds_the_gil,
    sleeper,
    spinner,
    stubborn,
    told,
)

ENDLESS = {"numbers": 10**13}
BRIEF: dict[str, Any] = {"max_duration": "1s", "retry": QUICK, **HOOKS}


@task(id="brief-sleeper", **BRIEF)
def brief_sleeper(payload: Any, ctx: Context) -> None:
    sleeper(payload, ctx)


@task(id="brief-spinner", **BRIEF)
def brief_spinner(payload: Any, ctx: Context) -> None:
    spinner(payload, ctx)


@task(id="brief-async-sleeper", **BRIEF)
async def brief_async_sleeper(payload: Any, ctx: Context) -> None:
    await async_sleeper(payload, ctx)


@task(id="brief-stubborn", **BRIEF)
def brief_stubborn(payload: Any, ctx: Context) -> None:
    stubborn(payload, ctx)


@task(id="brief-gil-holder", **BRIEF)
def brief_gil_holder(payload: Any, ctx: Context) -> None:
    holds_the_gil(ENDLESS, ctx)


@task(id="brief-async-spinner", **BRIEF)
async def brief_async_spinner(payload: Any, ctx: Context) -> None:
    await async_spinner(payload, ctx)


@task(id="gil-holder", retry=QUICK, **HOOKS)
def gil_holder(payload: Any, ctx: Context) -> None:
    holds_the_gil(ENDLESS, ctx)


@task(id="async-spinner", retry=QUICK, **HOOKS)
async def async_spinner(payload: Any, ctx: Context) -> None:
    """Keeps the event loop to itself, where no exception can be raised from outside."""
    with live(*told(ctx)):
        until = time.monotonic() + 60
        while time.monotonic() < until:
            pass


@task(id="retries-late", retry=Retry(min_timeout="5m", max_timeout="5m"), **HOOKS)
def retries_late(payload: Any, ctx: Context) -> None:
    with live(*told(ctx)):
        raise ValueError("not yet")


@task(
    id="hungry",
    machine="micro",
    retry=Retry(min_timeout="100ms", out_of_memory=OutOfMemory(machine="small-2x")),
    **HOOKS,
)
def hungry(payload: dict[str, float], ctx: Context) -> str:
    """Keeps so many gigabytes for a moment."""
    with live(*told(ctx)):
        kept = bytearray(int(payload["gigabytes"] * 2**30))
        return f"{len(kept)} bytes on {ctx.machine.name}"
