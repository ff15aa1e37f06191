"""`Queue`: where runs line up, how many of them may run at once, and what happens to the others."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from jobs_platform.domain.durations import Duration, to_seconds
from jobs_platform.domain.errors import InvalidOptionError, close_matches, did_you_mean

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./:-]{0,127}")
MAX_LIMIT = 1_000_000
MIN_WINDOW_SECONDS = 0.1
MAX_WINDOW_SECONDS = 366 * 86_400.0
CONFLICT_STRATEGIES = ("wait", "cancel_in_progress", "refuse")
RATE_STRATEGIES = ("throttle", "refuse")


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most `limit` starts (weighted) in each `window`."""

    limit: int
    window: Duration
    per_key: bool = False
    """For each concurrency key, not for the queue."""
    on_limit: Literal["throttle", "refuse"] = "throttle"
    """Let the others wait, or refuse them at the trigger."""

    def __post_init__(self) -> None:
        check_limit("rate_limit", self.limit)
        _check_flag("per_key", self.per_key)
        _check_strategy("on_limit", self.on_limit, RATE_STRATEGIES)
        to_seconds(
            self.window, name="window", minimum=MIN_WINDOW_SECONDS, maximum=MAX_WINDOW_SECONDS
        )

    @property
    def window_seconds(self) -> float:
        return to_seconds(self.window)


@dataclass(frozen=True, slots=True)
class Queue:
    """A named queue; without limits its runs start as soon as a worker is free.

    One that states no limit at all only names the queue: what others declare of it stays.
    """

    name: str
    concurrency_limit: int | None = None
    """All its runs together; None is unlimited."""
    key_concurrency_limit: int | None = None
    """The runs of each concurrency key; None is one at a time."""
    on_conflict: Literal["wait", "cancel_in_progress", "refuse"] = "wait"
    """What becomes of a run whose concurrency key is busy."""
    rate_limit: RateLimit | None = None
    max_length: int | None = None
    """Runs that may wait at once; triggers beyond it raise `QueueFullError`."""

    def __post_init__(self) -> None:
        check_queue_name(self.name)
        for option in ("concurrency_limit", "key_concurrency_limit", "max_length"):
            limit = getattr(self, option)
            if limit is not None:
                check_limit(option, limit)
        _check_strategy("on_conflict", self.on_conflict, CONFLICT_STRATEGIES)
        if self.rate_limit is not None and not isinstance(self.rate_limit, RateLimit):
            reason = 'is not a RateLimit(limit, window), such as RateLimit(100, "1m")'
            raise InvalidOptionError(option="rate_limit", value=self.rate_limit, reason=reason)

    @property
    def has_limits(self) -> bool:
        """Whether it says anything but its name."""
        return self.is_limited or self.key_concurrency_limit is not None

    @property
    def is_limited(self) -> bool:
        """Whether all its runs need a slot; those with a key do in any queue."""
        limits = (self.concurrency_limit, self.rate_limit, self.max_length)
        return any(limit is not None for limit in limits) or self.on_conflict != "wait"

    def definition(self) -> dict[str, Any]:
        """What is stored of it, in JSON types."""
        rate = self.rate_limit
        return {
            "concurrency_limit": self.concurrency_limit,
            "key_concurrency_limit": self.key_concurrency_limit,
            "on_conflict": self.on_conflict,
            "rate_limit": rate.limit if rate else None,
            "rate_window_seconds": rate.window_seconds if rate else None,
            "rate_per_key": rate.per_key if rate else False,
            "rate_on_limit": rate.on_limit if rate else "throttle",
            "max_length": self.max_length,
        }


def check_queue_name(name: str) -> str:
    """`name` when a queue may be called so."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        reason = "is not 1 to 128 letters, digits or - _ . / :, beginning with a letter or digit"
        raise InvalidOptionError(option="queue", value=name, reason=reason)
    return name


def queue_name(queue: Queue | str) -> str:
    """The name of a queue given as itself or by name."""
    return queue.name if isinstance(queue, Queue) else check_queue_name(queue)


def check_limit(option: str, limit: int) -> None:
    """Refuse what does not count runs."""
    if isinstance(limit, bool) or not isinstance(limit, int) or not 0 < limit <= MAX_LIMIT:
        reason = f"is not a whole number from 1 to {MAX_LIMIT:,}; leave it out for no limit"
        raise InvalidOptionError(option=option, value=limit, reason=reason)


def _check_strategy(option: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        hint = did_you_mean(close_matches(str(value), known))
        reason = f"is not one of {', '.join(known)}"
        raise InvalidOptionError(option=option, value=value, reason=reason, suggestion=hint)


def _check_flag(option: str, value: bool) -> None:
    if not isinstance(value, bool):
        raise InvalidOptionError(option=option, value=value, reason="is not True or False")


UNLIMITED = Queue("any")
"""For the definition of a queue of which nothing is said; its name means nothing."""
