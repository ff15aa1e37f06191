"""Values that the engine hands to callers: runs, attempts, errors, log lines, batches.

Frozen and plain. Owned here so that code which triggers and reads runs needs no Django.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from jobs_platform.domain.lifecycle import FAILURES, FINAL, Status


@dataclass(frozen=True, slots=True)
class RunError:
    """Why an attempt or a run did not complete."""

    name: str
    """The exception's type, or the platform's code for what happened."""
    message: str
    traceback: str | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One finished start of a run's function."""

    number: int
    status: Status
    started_at: datetime
    finished_at: datetime
    error: RunError | None
    cpu_seconds: float | None
    peak_memory_bytes: int | None
    worker: str | None


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of a run's timeline."""

    version: int
    name: str
    at: datetime
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line that a run wrote; `id` ascends within the run."""

    id: int
    at: datetime
    level: str
    message: str
    fields: dict[str, Any]
    attempt_number: int
    source: str
    """`logger`, `logging`, `stdout` or `stderr`."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run as it stood at `version`."""

    id: str
    task_id: str
    status: Status
    version: int
    environment: str
    queue: str
    machine: str
    payload: Any
    output: Any
    error: RunError | None
    metadata: dict[str, Any]
    tags: tuple[str, ...]
    attempt_number: int
    max_attempts: int
    priority: float
    is_test: bool
    created_at: datetime
    run_at: datetime | None
    """When it is or was next claimable, or its delay is over; only while QUEUED or DELAYED."""
    started_at: datetime | None
    finished_at: datetime | None
    duration_ms: int | None
    """From the first start to the end."""
    task_version: str | None = None
    parent_id: str | None = None
    root_id: str | None = None
    batch_id: str | None = None
    schedule_id: str | None = None
    replay_of_id: str | None = None
    url: str | None = None
    idempotency_key: str | None = None
    """As it was given; a long one as its beginning and a hash."""
    concurrency_keys: tuple[str, ...] = ()
    ttl_seconds: float | None = None
    expires_at: datetime | None = None
    """Unless it was started before; only while it is queued."""
    max_duration_seconds: float | None = None
    attempts: tuple[Attempt, ...] = field(default=())

    @property
    def is_queued(self) -> bool:
        return self.status in (Status.QUEUED, Status.DELAYED)

    @property
    def is_executing(self) -> bool:
        return self.status is Status.EXECUTING

    @property
    def is_waiting(self) -> bool:
        return self.status is Status.WAITING

    @property
    def is_completed(self) -> bool:
        """Whether it has ended, in whatever way."""
        return self.status in FINAL

    @property
    def is_success(self) -> bool:
        return self.status is Status.COMPLETED

    @property
    def is_failed(self) -> bool:
        return self.status in FAILURES or self.status is Status.EXPIRED

    @property
    def is_canceled(self) -> bool:
        return self.status is Status.CANCELED


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch and how far it has come; `status` is PENDING until every run is final."""

    id: str
    status: str
    """`PENDING` or `COMPLETED`."""
    run_count: int
    counts: dict[Status, int]
    created_at: datetime
