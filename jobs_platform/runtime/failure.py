"""What an attempt's exception means: its JSON, and whether and when the run is tried again."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from traceback import TracebackException
from types import TracebackType
from typing import Any

from jobs_platform.domain.clock import utc_now
from jobs_platform.domain.configuration import DEVELOPMENT, Configuration
from jobs_platform.domain.errors import AbortTaskRunError, HookError
from jobs_platform.domain.lifecycle import Status
from jobs_platform.domain.payloads import make_storable
from jobs_platform.domain.retrying import MAX_ATTEMPTS_CAP, RetryPolicy
from jobs_platform.engine.handoff import ClaimedRun, Outcome
from jobs_platform.sdk.retry import RetryAfter, RetryAt, SkipRetry

TRACEBACK_LIMIT = 64 * 1024
MESSAGE_LIMIT = 16 * 1024
_HEAD = 8 * 1024
_PACKAGE = str(Path(__file__).resolve().parent.parent)
_FRAMES = 100


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a run whose attempt raised."""

    status: Status
    error: BaseException
    retry_after_seconds: float | None = None


def judge(
    run: ClaimedRun,
    error: BaseException,
    answer: Any,
    *,
    policy: RetryPolicy,
    configuration: Configuration,
    pick: Callable[[], float] = random.random,
) -> Verdict:
    """Decide about a run from its exception and the answer of the `catch_error` hooks.

    `HookError` when the answer is none of those that a hook may give.
    """
    wanted: float | None = None
    if isinstance(answer, BaseException):
        error = answer
    elif isinstance(answer, SkipRetry):
        return Verdict(Status.FAILED, error)
    elif isinstance(answer, RetryAt):
        wanted = max(0.0, (answer.when - utc_now()).total_seconds())
    elif isinstance(answer, RetryAfter):
        wanted = answer.seconds
    elif isinstance(answer, RetryPolicy):
        policy = answer
    elif answer is not None:
        reason = f"answered {answer!r}; it may answer Retry.at, .after, .skip or an exception"
        raise HookError(hook="catch_error", owner=f"task {run.task_id!r}", reason=reason)
    if isinstance(error, AbortTaskRunError) or not may_retry(run, configuration):
        return Verdict(Status.FAILED, error)
    if wanted is None:
        wanted = policy.delay_seconds(run.attempt_number, random=pick)
    return Verdict(Status.QUEUED, error, wanted)


def error_json(
    error: BaseException,
    *,
    with_traceback: bool = True,
    name: str | None = None,
    message: str | None = None,
) -> str:
    """JSON of name, message and traceback, storable and bounded."""
    shown = {
        "name": name or type(error).__name__,
        "message": make_storable(message or _message(error), limit=MESSAGE_LIMIT),
        "traceback": make_storable(_traceback(error)) if with_traceback else None,
    }
    return json.dumps(shown, ensure_ascii=False)


def may_retry(run: ClaimedRun, configuration: Configuration) -> bool:
    """Whether attempts remain, and retries are on."""
    if run.environment == DEVELOPMENT and not configuration.retries_enabled_in_dev:
        return False
    return run.attempt_number < min(run.max_attempts, MAX_ATTEMPTS_CAP)


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as broken:  # noqa: BLE001 - somebody else's __str__ may raise anything
        return f"<str() of the exception raised {type(broken).__name__}>"


def _traceback(error: BaseException) -> str:
    """The traceback from the user's first frame on, long ones without their middle."""
    try:
        start = _users_frame(error.__traceback__)
        found = TracebackException(type(error), error, start, limit=-_FRAMES, compact=True)
        text = "".join(found.format())
    except Exception as broken:  # noqa: BLE001 - it reads sources and calls reprs of others
        return f"<the traceback could not be shown: {type(broken).__name__}>"
    if len(text) <= TRACEBACK_LIMIT:
        return text
    cut = len(text) - TRACEBACK_LIMIT
    tail = text[-(TRACEBACK_LIMIT - _HEAD) :]
    return f"{text[:_HEAD]}\n… {cut:,} characters left out …\n{tail}"


def _users_frame(start: TracebackType | None) -> TracebackType | None:
    """Skip the platform's frames (and the event loop's) that every traceback begins with."""
    frame = start
    while frame is not None and _is_ours(frame.tb_frame.f_code.co_filename):
        frame = frame.tb_next
    return frame or start


def _is_ours(file: str) -> bool:
    return file.startswith(_PACKAGE) or "/concurrent/futures/" in file or "/asyncio/" in file


def not_executed(run: ClaimedRun, error: Exception, *, after_seconds: float) -> Outcome:
    """Another worker may fare better, one that is being deployed just now; else it is our fault."""
    described = json.dumps(
        {"name": type(error).__name__, "message": make_storable(str(error)), "traceback": None}
    )
    if run.attempt_number < run.max_attempts:
        return Outcome(
            run.id,
            run.fencing_token,
            Status.QUEUED,
            error=described,
            retry_after_seconds=after_seconds,
        )
    return Outcome(
        run.id, run.fencing_token, Status.SYSTEM_FAILURE, error=described, has_final_hooks=True
    )
