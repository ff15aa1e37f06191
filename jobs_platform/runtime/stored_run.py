"""A stored run as the context of its final hooks sees it, where no attempt of ours is at hand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from jobs_platform.domain.ids import decode
from jobs_platform.sdk.values import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFacts:
    """The facts of a claim, read back from a run."""

    id: UUID
    fencing_token: int
    task_id: str
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
    created_at: datetime
    started_at: datetime
    attempt_started_at: datetime
    parent_id: UUID | None
    root_id: UUID | None
    batch_id: UUID | None
    replay_of_id: UUID | None
    schedule_id: str | None
    idempotency_key: str | None = None
    max_duration_seconds: float | None = None


def facts_of(run: Run) -> StoredFacts:
    """A run that never started counts as started when it was created."""
    started_at = run.started_at or run.created_at
    last = run.attempts[-1].started_at if run.attempts else started_at
    return StoredFacts(
        id=decode("run", run.id),
        fencing_token=0,
        task_id=run.task_id,
        attempt_number=run.attempt_number,
        max_attempts=run.max_attempts,
        environment=run.environment,
        queue=run.queue,
        worker_queue=run.machine,
        priority_seconds=run.priority,
        tags=run.tags,
        metadata=run.metadata,
        is_test=run.is_test,
        task_version=run.task_version,
        created_at=run.created_at,
        started_at=started_at,
        attempt_started_at=last,
        parent_id=_decoded("run", run.parent_id),
        root_id=_decoded("run", run.root_id),
        batch_id=_decoded("batch", run.batch_id),
        replay_of_id=_decoded("run", run.replay_of_id),
        schedule_id=run.schedule_id,
        idempotency_key=run.idempotency_key,
        max_duration_seconds=run.max_duration_seconds,
    )


def _decoded(prefix: str, text: str | None) -> UUID | None:
    return None if text is None else decode(prefix, text)
