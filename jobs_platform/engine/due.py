"""What the clock has to look at now, and when it has to look again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from jobs_platform.engine.hook_call import MAX_TRIES
from jobs_platform.engine.line import Line


@dataclass(frozen=True, slots=True)
class Due:
    """One look at everything that waits for the clock, by the database's time."""

    claimable: tuple[str, ...]
    """Worker queues with runs that can be claimed now."""
    hook_calls: tuple[str, ...]
    """Worker queues with final hooks that nobody is about to call."""
    has_lost_workers: bool
    has_schedules: bool
    seconds_until_next: float | None
    """Until the next delay, retry or schedule is due; None when nothing is foreseen."""
    has_timed: bool = False
    """Delays that are over, and retries that are to wait for a slot."""
    has_expiring: bool = False
    """Runs whose time to live has passed."""
    has_waiting: bool = False
    """Runs that wait for a slot, or a rate limit that lets the next one start."""


def what_is_due(line: Line, *, environment_id: int) -> Due:
    """One statement, whose cost does not grow with history."""
    rows = line.execute("what_is_due", {"environment_id": environment_id, "max_tries": MAX_TRIES})
    now_due = [row for row in rows if row[2] <= row[3]]
    ahead = [_seconds(row[2], row[3]) for row in rows if row[2] > row[3]]
    return Due(
        claimable=tuple(row[1] for row in now_due if row[0] == "claimable"),
        hook_calls=tuple(row[1] for row in now_due if row[0] == "hook_call"),
        has_lost_workers=any(row[0] == "lost" for row in now_due),
        has_schedules=any(row[0] == "schedule" for row in now_due),
        seconds_until_next=min(ahead, default=None),
        has_timed=any(row[0] == "timed" for row in now_due),
        has_expiring=any(row[0] == "expiring" for row in now_due),
        has_waiting=any(row[0] in ("waiting", "admit") for row in now_due),
    )


def _seconds(instant: datetime, now: datetime) -> float:
    return (instant - now).total_seconds()
