"""What a check has found: how bad it is, what it is in words, and how to mend it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARN = "warn"
    """Works, but will not for long or not well."""
    PROBLEM = "problem"
    """Something does not happen that should."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check."""

    check: str
    level: Level
    what: str
    mend: str | None = None
    """What to do about it; None when there is nothing to do."""


def ok(check: str, what: str) -> Finding:
    return Finding(check, Level.OK, what)


def warn(check: str, what: str, *, mend: str) -> Finding:
    return Finding(check, Level.WARN, what, mend)


def problem(check: str, what: str, *, mend: str) -> Finding:
    return Finding(check, Level.PROBLEM, what, mend)


def several(count: int, one: str, many: str | None = None) -> str:
    """`1 run`, `2,000 runs`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def listed(names: list[str], *, most: int = 5) -> str:
    """The first few names, and how many more there are."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most:,} more" if len(names) > most else shown
