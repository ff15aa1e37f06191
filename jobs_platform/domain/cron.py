"""Cron expressions and the instants they name, over daylight saving. Fires nothing itself.

Five fields or an @alias, read on the wall clock of a time zone. When the clock is set back, an
expression with fixed hours fires at the first of the two equal times only, one for every hour
(`*` or `*/n` as hour) at both. When it is set forward, a fixed time that was skipped fires at the
first instant after the gap; hourly expressions go on with the next time that exists.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import islice
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from cron_descriptor import FormatException, MissingFieldException, Options, get_description
from croniter import CroniterBadDateError, CroniterError, croniter

from jobs_platform.domain.errors import InvalidCronError, close_matches, did_you_mean

ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day", 1, 31), ("month", 1, 12), ("weekday", 0, 7))
_FIELD_COUNT = len(_FIELDS)
_HOUR = 1
_RANDOM = re.compile(r"[rh](\(.*\))?", re.IGNORECASE)
_A_MONDAY = datetime(2024, 1, 1)  # noqa: DTZ001 - a wall clock, on purpose without a zone
_OPTIONS = Options()
_OPTIONS.use_24hour_time_format = True


@dataclass(frozen=True, slots=True)
class Cron:
    """A checked expression in a time zone: `Cron("0 5 * * *", timezone="Asia/Tokyo")`."""

    expression: str
    timezone: str = field(default="UTC", kw_only=True)

    def __post_init__(self) -> None:
        _check_fields(self.expression)
        _zone(self.timezone, self.expression)
        try:
            steps = croniter(self._fields, _A_MONDAY)
            steps.get_next(datetime)
            steps.get_next(datetime)
        except CroniterBadDateError:
            _refuse(self.expression, "names a date that does not exist")
        except (CroniterError, ValueError, KeyError) as error:
            _refuse(self.expression, f"cannot be read ({error})")

    def next_after(self, instant: datetime) -> datetime:
        """The first instant later than `instant` at which it fires, in UTC."""
        return next(self._instants(instant))

    def upcoming(self, count: int, *, after: datetime) -> list[datetime]:
        """The first `count` instants later than `after`, in UTC."""
        return list(islice(self._instants(after), count))

    def describe(self) -> str:
        """English for people: `At 09:00, Monday through Friday`."""
        try:
            return str(get_description(self._fields, options=_OPTIONS))
        except (FormatException, MissingFieldException, ValueError):
            return self.expression

    @property
    def _fields(self) -> str:
        text = " ".join(self.expression.split())
        return ALIASES.get(text.lower(), text)

    @property
    def _is_hourly(self) -> bool:
        return self._fields.split()[_HOUR].startswith("*")

    def _instants(self, after: datetime) -> Iterator[datetime]:
        zone = ZoneInfo(self.timezone)
        last = after.astimezone(UTC)
        while True:
            last = self._next(last, zone)
            yield last

    def _next(self, after: datetime, zone: tzinfo) -> datetime:
        local = after.astimezone(zone)
        wall = local.replace(tzinfo=None, fold=0)
        found = self._first_later(wall, after, zone)
        set_back = _set_back_by(wall, zone)
        if self._is_hourly and set_back and not local.fold:
            again = self._first_repeated(wall - set_back, wall, zone)
            if again is not None:
                found = min(found, again)
        return found

    def _first_later(self, wall: datetime, after: datetime, zone: tzinfo) -> datetime:
        for nominal in self._walls(wall):
            if not self._is_hourly:
                instant = _first_instant(nominal, zone)
            elif _exists(nominal, zone):
                instant = _utc(nominal, zone, fold=0)
                if instant <= after:
                    instant = _utc(nominal, zone, fold=1)
            else:
                continue
            if instant > after:
                return instant
        raise InvalidCronError(expression=self.expression, reason="never fires again")

    def _first_repeated(self, start: datetime, stop: datetime, zone: tzinfo) -> datetime | None:
        """The first time after `start`, up to `stop`, that the clock shows a second time."""
        just_before = start - timedelta(seconds=1)
        for nominal in self._walls(just_before):
            if nominal > stop:
                return None
            if _set_back_by(nominal, zone):
                return _utc(nominal, zone, fold=1)
        return None

    def _walls(self, after: datetime) -> Iterator[datetime]:
        """Nominal times on the wall clock, ascending. Without a zone: croniter's own handling of
        daylight saving fires fixed times twice in autumn."""
        steps = croniter(self._fields, after)
        while True:
            try:
                yield steps.get_next(datetime)
            except CroniterBadDateError:
                return


def timezones() -> list[str]:
    """Names that `timezone=` takes, sorted."""
    return sorted(available_timezones())


def _utc(wall: datetime, zone: tzinfo, *, fold: int) -> datetime:
    return wall.replace(tzinfo=zone, fold=fold).astimezone(UTC)


def _set_back_by(wall: datetime, zone: tzinfo) -> timedelta:
    """By how much the clock is set back around a time that it shows twice; else zero."""
    return max(timedelta(0), _utc(wall, zone, fold=1) - _utc(wall, zone, fold=0))


def _exists(wall: datetime, zone: tzinfo) -> bool:
    return _utc(wall, zone, fold=1) >= _utc(wall, zone, fold=0)


def _first_instant(wall: datetime, zone: tzinfo) -> datetime:
    """The first instant at which the clock shows `wall`, or jumps over it."""
    if _exists(wall, zone):
        return _utc(wall, zone, fold=0)
    # In a gap the two readings lie around the jump: PEP 495 reads fold=0 with the offset before it.
    low, high = _utc(wall, zone, fold=1), _utc(wall, zone, fold=0)
    before = low.astimezone(zone).utcoffset()
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) // 2
        if middle.astimezone(zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high.replace(microsecond=0)


def _zone(name: str, expression: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError, TypeError, AttributeError):
        hint = did_you_mean(close_matches(str(name), available_timezones()))
        reason = f"has the unknown time zone {name!r}"
        raise InvalidCronError(expression=expression, reason=reason, suggestion=hint) from None


def _check_fields(expression: str) -> None:
    if not isinstance(expression, str):
        _refuse(expression, f"is {type(expression).__name__}, not text")
    words = expression.split()
    if len(words) == 1 and words[0].startswith("@"):
        if words[0].lower() not in ALIASES:
            hint = did_you_mean(close_matches(words[0], ALIASES))
            _refuse(expression, f"is not one of {', '.join(ALIASES)}", hint)
        return
    if len(words) != _FIELD_COUNT:
        reason = f"has {len(words)} fields, not five (minute hour day month weekday)"
        hint = " Seconds and years are not supported." if len(words) > _FIELD_COUNT else ""
        _refuse(expression, reason, hint)
    for word, (name, low, high) in zip(words, _FIELDS, strict=True):
        for term in word.split(","):
            _check_term(expression, term, name, low, high)


def _check_term(expression: str, term: str, name: str, low: int, high: int) -> None:
    base, slash, step = term.partition("/")
    if any(_RANDOM.fullmatch(part) for part in (base, *base.split("-"))):
        _refuse(expression, f"has {term!r} as {name}: random and hashed times are not supported")
    if not slash:
        return
    if not (step.isascii() and step.isdigit()):
        _refuse(expression, f"has the step {step!r} as {name}, which is not a number")
    first = int(base) if base.isascii() and base.isdigit() else low
    if int(step) == 0 or first + int(step) > high:
        reason = f"has {term!r} as {name}: the step leads out of {low}-{high}"
        _refuse(expression, reason)


def _refuse(expression: object, reason: str, suggestion: str = "") -> None:
    raise InvalidCronError(expression=expression, reason=reason, suggestion=suggestion)
