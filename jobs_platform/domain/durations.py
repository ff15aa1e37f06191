"""Durations as people write them: a timedelta, seconds, or text such as `1h52m`. Never a date."""

from __future__ import annotations

import math
import re
from datetime import timedelta

from jobs_platform.domain.errors import InvalidDurationError

Duration = timedelta | float | int | str

MAX_SECONDS = 100 * 366 * 86_400.0

_UNITS = {"w": 604_800.0, "d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_ORDER = list(_UNITS)
_PART = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(ms|[wdhms])")
_MAX_TEXT = 100


def to_seconds(
    value: Duration,
    *,
    name: str = "The duration",
    minimum: float = 0.0,
    maximum: float = MAX_SECONDS,
) -> float:
    """Seconds in `value`; `InvalidDurationError` names what is wrong with it."""
    seconds = _measure(value, name)
    if seconds < minimum:
        limit = to_text(minimum) if minimum else "zero"
        raise InvalidDurationError(value=value, name=name, reason=f"is less than {limit}")
    if seconds > maximum:
        reason = f"is more than {to_text(maximum)}"
        raise InvalidDurationError(value=value, name=name, reason=reason)
    return seconds


def to_text(seconds: float) -> str:
    """The shortest text that `to_seconds` reads back, to the millisecond: `1h52m`."""
    rest = round(seconds * 1000)
    parts = []
    for unit in _ORDER:
        size = round(_UNITS[unit] * 1000)
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def _measure(value: Duration, name: str) -> float:
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, str):
        return _read(value, name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        reason = f"is {type(value).__name__}, not a timedelta, a number or text"
        raise InvalidDurationError(value=value, name=name, reason=reason)
    try:
        seconds = float(value)
    except OverflowError:
        seconds = math.inf
    if not math.isfinite(seconds):
        raise InvalidDurationError(value=value, name=name, reason="is not a finite number")
    return seconds


def _read(text: str, name: str) -> float:
    total, position, last_unit = 0.0, 0, -1
    shown = text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}…"
    stripped = text.strip()
    if not stripped or len(text) > _MAX_TEXT:
        reason = "is empty" if not stripped else "is too long to be a duration"
        raise InvalidDurationError(value=shown, name=name, reason=reason)
    while position < len(stripped):
        part = _PART.match(stripped, position)
        if part is None:
            raise InvalidDurationError(value=shown, name=name, reason=_complaint(stripped))
        unit = _ORDER.index(part[2])
        if unit <= last_unit:
            reason = "must name each unit once, the largest first"
            raise InvalidDurationError(value=shown, name=name, reason=reason)
        total += float(part[1]) * _UNITS[part[2]]
        position, last_unit = part.end(), unit
    return round(total, 6)


def _complaint(text: str) -> str:
    if re.fullmatch(r"[0-9.]+", text):
        return f'has no unit (did you mean "{text}s"?)'
    if text.startswith("-"):
        return "is negative"
    return "cannot be read (units are w, d, h, m, s, ms)"
