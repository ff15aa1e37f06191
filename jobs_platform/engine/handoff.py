"""What a claim hands to a worker, and what the worker hands back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from jobs_platform.domain.lifecycle import Status


@dataclass(frozen=True, slots=True)
class ClaimedRun:
    """A run whose attempt this worker holds; id and fencing token name it in every write."""

    id: UUID
    fencing_token: int
    task_id: str
    payload: str
    """JSON text."""
    attempt_number: int
    max_attempts: int
    environment: str
    queue: str
    worker_queue: str
    priority_seconds: float
    tags: tuple[str, ...]
    metadata: dict[str, Any]
    is_test: bool
    task_version: str | None
    version: int
    created_at: datetime
    started_at: datetime
    """First start of the run."""
    attempt_started_at: datetime
    parent_id: UUID | None
    root_id: UUID | None
    batch_id: UUID | None
    replay_of_id: UUID | None
    schedule_id: str | None
    needs_slot: bool = False
    """It holds slots of its queue and its keys, which its end frees."""
    concurrency_keys: tuple[str, ...] = ()
    idempotency_key: str | None = None
    max_duration_seconds: float | None = None
    """Of this run; without it the task's own or the project's holds."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who claims: one slot (pool child or pool thread) of one worker."""

    worker_id: int
    slot: int
    environment_id: int
    environment: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended. `status` is a final status, or QUEUED for a retry."""

    run_id: UUID
    fencing_token: int
    status: Status
    output: str | None = None
    """JSON text; only with COMPLETED."""
    error: str | None = None
    """JSON text of name, message, traceback; not with COMPLETED."""
    retry_after_seconds: float | None = None
    """Only with QUEUED: how long after the write it is claimable again."""
    cpu_seconds: float | None = None
    peak_memory_bytes: int | None = None
    has_final_hooks: bool = False
    """A hook call is recorded together with a final status."""
    is_lost: bool = False
    """The worker died under it, or it ran out of memory: the attempt crashed."""
    machine: str | None = None
    """Only with QUEUED: the machine for the next attempt; None is the same again."""
