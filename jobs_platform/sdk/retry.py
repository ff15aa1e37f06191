"""`Retry`: a task's retry policy, and the answers that a `catch_error` hook may give."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from jobs_platform.domain.durations import Duration, to_seconds
from jobs_platform.domain.errors import InvalidOptionError
from jobs_platform.domain.retrying import RetryPolicy


@dataclass(frozen=True, slots=True)
class RetryAt:
    """Answer of `catch_error`: retry at this instant, if attempts remain."""

    when: datetime


@dataclass(frozen=True, slots=True)
class RetryAfter:
    """Answer of `catch_error`: retry after this long, if attempts remain."""

    seconds: float


@dataclass(frozen=True, slots=True)
class SkipRetry:
    """Answer of `catch_error`: fail now, whatever attempts remain."""


class Retry(RetryPolicy):
    """How often and how soon a failed attempt runs again; timeouts take durations."""

    __slots__ = ()

    def __init__(
        self,
        *,
        max_attempts: int = 3,
        factor: float = 2.0,
        min_timeout: Duration = 1.0,
        max_timeout: Duration | None = None,
        randomize: bool = True,
    ) -> None:
        """Without `max_timeout` delays grow to a minute, or stay at a longer `min_timeout`."""
        shortest = to_seconds(min_timeout, name="retry.min_timeout")
        longest = None if max_timeout is None else to_seconds(max_timeout, name="retry.max_timeout")
        super().__init__(
            max_attempts=max_attempts,
            factor=factor,
            min_timeout_seconds=shortest,
            max_timeout_seconds=max(60.0, shortest) if longest is None else longest,
            randomize=randomize,
        )

    @staticmethod
    def at(when: datetime) -> RetryAt:
        """Retry at an instant; it must carry its time zone."""
        if not isinstance(when, datetime) or when.tzinfo is None:
            reason = "is not a datetime with a time zone"
            raise InvalidOptionError(option="Retry.at", value=when, reason=reason)
        return RetryAt(when.astimezone(UTC))

    @staticmethod
    def after(delay: Duration) -> RetryAfter:
        """Retry after a duration."""
        return RetryAfter(to_seconds(delay, name="Retry.after"))

    @staticmethod
    def skip() -> SkipRetry:
        """Fail now."""
        return SkipRetry()
