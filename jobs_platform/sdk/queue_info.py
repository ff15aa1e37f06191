"""`QueueInfo` and `EnvironmentPause`: what people see of queues; plain, as in `values.py`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from jobs_platform.sdk.queue import RateLimit


@dataclass(frozen=True, slots=True)
class QueueInfo:
    """A queue as it stands: what the code says, what people changed, and how many runs it has."""

    name: str
    environment: str
    concurrency_limit: int | None
    """As the code says."""
    override_limit: int | None
    """Goes before it while it is set."""
    effective_limit: int | None
    """The one that holds now; None is unlimited."""
    overridden_at: datetime | None
    overridden_by: str
    key_concurrency_limit: int | None
    """Runs of each concurrency key; None is one at a time."""
    on_conflict: str
    rate_limit: RateLimit | None
    next_start_at: datetime | None
    """When the rate limit lets one of the waiting runs start, where it holds them back."""
    max_length: int | None
    is_paused: bool
    paused_at: datetime | None
    paused_by: str
    running: int
    """Live attempts."""
    slots_in_use: int
    """What counts against the limit: live attempts, and runs that were admitted and start next."""
    queued: int
    """Runs that wait, for a slot or for a worker; delayed ones do not count."""
    is_queued_capped: bool
    """There may be more of them: counting ended at 100,000."""


@dataclass(frozen=True, slots=True)
class EnvironmentPause:
    """Whether anything of an environment may start."""

    environment: str
    paused_at: datetime | None
    paused_by: str

    @property
    def is_paused(self) -> bool:
        return self.paused_at is not None
