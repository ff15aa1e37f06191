"""`Explanation`: why a run does not execute just now, in codes and in words."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from jobs_platform.domain.lifecycle import Status


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that a run waits for, or what it does instead."""

    code: str
    """`delay`, `retry`, `not_due`, `queue_limit`, `key_limit`, `rate_limit`, `queue_paused`,
    `environment_paused`, `no_worker`, `others_first`, `next`, `executing`, `waiting`, `final`."""
    text: str
    """One sentence for people."""
    until: datetime | None = None
    """When it is over, where that is known."""
    runs: tuple[str, ...] = ()
    """Ids of the runs that are in the way, some of them where they are many."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a run waits for, everything that is in its way at this moment."""

    run_id: str
    status: Status
    queue: str
    reasons: tuple[Reason, ...]
    position: int | None = None
    """Among the waiting of its queue and key, from 1; None unless it waits for a slot."""
    is_position_capped: bool = field(default=False)
    """It is at least `position`: counting ended there."""
