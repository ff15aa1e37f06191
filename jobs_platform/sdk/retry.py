"""`Retry`: a task's retry policy, and the answers that a `catch_error` hook may give."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from jobs_platform.domain.durations import Duration, to_seconds
from jobs_platform.domain.errors import InvalidOptionError, close_matches, did_you_mean
from jobs_platform.domain.retrying import RetryPolicy
from jobs_platform.sdk.ports import configuration


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


@dataclass(frozen=True, slots=True, kw_only=True)
class OutOfMemory:
    """What is done after an attempt that ran out of memory: once more, on a larger machine."""

    machine: str

    def __post_init__(self) -> None:
        known = configuration().machines
        if self.machine not in known:
            raise InvalidOptionError(
                option="out_of_memory.machine",
                value=self.machine,
                reason=f"is not one of {', '.join(known)}",
                suggestion=did_you_mean(close_matches(str(self.machine), known)),
            )


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
        out_of_memory: OutOfMemory | None = None,
    ) -> None:
        """Without `max_timeout` delays grow to a minute, or stay at a longer `min_timeout`."""
        shortest = to_seconds(min_timeout, name="retry.min_timeout")
        if out_of_memory is not None and not isinstance(out_of_memory, OutOfMemory):
            option, reason = "retry.out_of_memory", "is not OutOfMemory(machine=…)"
            raise InvalidOptionError(option=option, value=out_of_memory, reason=reason)
        longest = None if max_timeout is None else to_seconds(max_timeout, name="retry.max_timeout")
        super().__init__(
            max_attempts=max_attempts,
            factor=factor,
            min_timeout_seconds=shortest,
            max_timeout_seconds=max(60.0, shortest) if longest is None else longest,
            randomize=randomize,
            out_of_memory_machine=out_of_memory.machine if out_of_memory else None,
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
