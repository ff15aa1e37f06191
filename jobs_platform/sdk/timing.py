"""When a run may start, and until when: the delay, the time to live and the maximum duration."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jobs_platform.domain.configuration import MIN_MAX_DURATION_SECONDS
from jobs_platform.domain.durations import MAX_SECONDS, Duration, to_seconds
from jobs_platform.domain.errors import InvalidDurationError, InvalidOptionError

MIN_TTL_SECONDS = 0.001


@dataclass(frozen=True, slots=True)
class Delay:
    """Either a time from now on, or an instant; the database's clock decides what is past."""

    seconds: float | None = None
    until: datetime | None = None


def check_delay(delay: Duration | datetime) -> Delay:
    """A duration of zero or more, or an aware datetime; one that is past means now."""
    if not isinstance(delay, datetime):
        return Delay(seconds=to_seconds(delay, name="delay"))
    if delay.tzinfo is None or delay.utcoffset() is None:
        reason = "has no time zone; use datetime.now(UTC) + …, or timezone.now()"
        raise InvalidOptionError(option="delay", value=delay, reason=reason)
    try:
        ahead = (delay - datetime.now(delay.tzinfo)).total_seconds()
    except OverflowError:
        ahead = MAX_SECONDS + 1
    if ahead > MAX_SECONDS:
        raise InvalidOptionError(option="delay", value=delay, reason="is 100 years ahead or more")
    return Delay(until=delay)


def check_ttl(ttl: Any, *, name: str = "ttl") -> float | None:
    """Seconds above zero, or None."""
    if ttl is None:
        return None
    seconds = to_seconds(ttl, name=name)
    if seconds < MIN_TTL_SECONDS:
        reason = "is not positive: the run would expire before it could start"
        raise InvalidDurationError(value=ttl, name=name, reason=reason)
    return seconds


def check_max_duration(max_duration: Any) -> float | None:
    """Seconds from one on, or None."""
    if max_duration is None:
        return None
    return to_seconds(max_duration, name="max_duration", minimum=MIN_MAX_DURATION_SECONDS)
