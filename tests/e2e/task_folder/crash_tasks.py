"""Tasks that tell a journal what happens to them, and some that end badly."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from celery import shared_task

from jobs_platform import Context, Retry, RunError, schedules, task
from tests.e2e.journal import FOLDER, live, note

QUICK = Retry(max_attempts=3, min_timeout="100ms", max_timeout="200ms")


def told(ctx: Context) -> tuple[str, int]:
    return ctx.run.id, ctx.attempt.number


def succeeded(payload: Any, output: Any, ctx: Context) -> None:
    note("on_success", *told(ctx))


def failed(payload: Any, error: RunError, ctx: Context) -> None:
    note("on_failure", *told(ctx), error.name)


def cancelled(payload: Any, ctx: Context) -> None:
    note("on_cancel", *told(ctx))


def completed(payload: Any, ctx: Context) -> None:
    note("on_complete", *told(ctx))


HOOKS = {
    "on_success": succeeded,
    "on_failure": failed,
    "on_cancel": cancelled,
    "on_complete": completed,
}


@task(id="steady", retry=Retry(max_attempts=20, min_timeout="100ms", max_timeout="200ms"))
def steady(payload: dict[str, float], ctx: Context) -> int:
    """Some milliseconds of work."""
    with live(*told(ctx)):
        time.sleep(payload.get("seconds", 0.002))
    return ctx.attempt.number


@task(id="hooked", retry=Retry(max_attempts=20, min_timeout="100ms", max_timeout="200ms"), **HOOKS)
def hooked(payload: dict[str, float], ctx: Context) -> int:
    """The same, with hooks."""
    with live(*told(ctx)):
        time.sleep(payload.get("seconds", 0.002))
    return ctx.attempt.number


@task(id="gated", retry=QUICK, **HOOKS)
def gated(payload: dict[str, str], ctx: Context) -> int:
    """Goes on until the test opens its gate."""
    gate = Path(os.environ[FOLDER]) / payload["gate"]
    with live(*told(ctx)):
        while not gate.exists():
            time.sleep(0.01)
    return ctx.attempt.number


@task(id="gated-once", retry=Retry(max_attempts=1), **HOOKS)
def gated_once(payload: dict[str, str], ctx: Context) -> int:
    return gated(payload, ctx)


@task(id="sleeper", retry=QUICK, **HOOKS)
def sleeper(payload: Any, ctx: Context) -> None:
    """Blocked in one system call."""
    with live(*told(ctx)):
        time.sleep(60)


@task(id="spinner", retry=QUICK, **HOOKS)
def spinner(payload: Any, ctx: Context) -> None:
    """Never lets go of the processor."""
    with live(*told(ctx)):
        until = time.monotonic() + 60
        while time.monotonic() < until:
            pass


@task(id="async-sleeper", retry=QUICK, **HOOKS)
async def async_sleeper(payload: Any, ctx: Context) -> None:
    with live(*told(ctx)):
        await asyncio.sleep(60)


@task(id="stubborn", retry=QUICK, **HOOKS)
def stubborn(payload: Any, ctx: Context) -> None:
    """Swallows whatever is to stop it."""
    with live(*told(ctx)):
        until = time.monotonic() + 60
        while time.monotonic() < until:
            with contextlib.suppress(BaseException):
                time.sleep(0.05)


@task(id="holds-the-gil", retry=QUICK, **HOOKS)
def holds_the_gil(payload: dict[str, int], ctx: Context) -> None:
    """One call into C that no other thread of the process gets in between."""
    with live(*told(ctx)):
        sum(range(payload["numbers"]))


@task(id="segfault", retry=Retry(max_attempts=2), **HOOKS)
def segfault(payload: Any, ctx: Context) -> None:
    with live(*told(ctx)):
        signal.signal(signal.SIGSEGV, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGSEGV)


@task(id="raises", retry=QUICK, **HOOKS)
def raises(payload: dict[str, str], ctx: Context) -> None:
    """Leaves with what usually is meant for a process, not for a function."""
    with live(*told(ctx)):
        if payload["what"] == "KeyboardInterrupt":
            raise KeyboardInterrupt
        sys.exit(3)


@schedules.task(id="each-new-year", cron="0 0 1 1 *", **HOOKS)
def each_new_year(payload: Any, ctx: Context) -> str:
    note("nominal time", *told(ctx), detail=payload.timestamp.isoformat())
    return "fired"


@shared_task(name="e2e.tick")
def tick(name: str) -> None:
    """A Celery task of the project's own, for django-celery-beat."""
    note("tick", name)
