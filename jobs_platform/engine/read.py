"""Read runs as values. Every question is answered by the primary database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db.models import Count, QuerySet

from jobs_platform.domain.errors import BatchNotFoundError, RunNotFoundError
from jobs_platform.domain.ids import decode, encode
from jobs_platform.domain.lifecycle import LIVE, Status
from jobs_platform.engine import caller
from jobs_platform.engine.environments import environment_id
from jobs_platform.models import Attempt as AttemptRow
from jobs_platform.models import Batch as BatchRow
from jobs_platform.models import Event as EventRow
from jobs_platform.models import LogLine as LogLineRow
from jobs_platform.models import Run as RunRow
from jobs_platform.models import TaskDefinition
from jobs_platform.sdk import ports
from jobs_platform.sdk.ports import RunFilter
from jobs_platform.sdk.values import Attempt, Batch, Event, LogLine, Run, RunError


def retrieve(run_id: UUID) -> Run:
    """The run with its finished attempts."""
    with caller.translated():
        row = RunRow.objects.select_related("environment").filter(id=run_id).first()
        if row is None:
            raise RunNotFoundError(id=encode("run", run_id))
        attempts = (
            AttemptRow.objects.filter(run_id=run_id).select_related("worker").order_by("number")
        )
        return run_value(row, attempts=[_attempt(attempt) for attempt in attempts])


def list_runs(selected: RunFilter, *, environment: str | None = None) -> list[Run]:
    """Newest first, at most `selected.limit`; attempts are left out."""
    with caller.translated():
        rows = _filtered(selected, environment).select_related("environment")[: selected.limit]
        return [run_value(row) for row in rows]


def status_of(run_id: UUID) -> tuple[Status, int]:
    with caller.translated():
        row = RunRow.objects.filter(id=run_id).values_list("status", "version").first()
    if row is None:
        raise RunNotFoundError(id=encode("run", run_id))
    return Status(row[0]), row[1]


def events_of(run_id: UUID) -> list[Event]:
    """The timeline, oldest first."""
    with caller.translated():
        rows = EventRow.objects.filter(run_id=run_id).order_by("version")
        return [
            Event(
                row.version,
                row.move,
                row.created_at,
                {"attempt": row.attempt_number, **(row.data or {})},
            )
            for row in rows
        ]


def log_lines_of(run_id: UUID, *, after_id: int = 0, limit: int = 1000) -> list[LogLine]:
    """Lines in their order, from behind `after_id` on."""
    with caller.translated():
        rows = LogLineRow.objects.filter(run_id=run_id, id__gt=after_id).order_by("id")[:limit]
        return [
            LogLine(
                id=row.id,
                at=row.logged_at,
                level=row.level,
                message=row.message,
                fields=row.fields or {},
                attempt_number=row.attempt_number,
                source=row.source,
            )
            for row in rows
        ]


def retrieve_batch(batch_id: UUID) -> Batch:
    """A batch with its runs counted by status."""
    with caller.translated():
        row = BatchRow.objects.filter(id=batch_id).first()
        if row is None:
            raise BatchNotFoundError(id=encode("batch", batch_id))
        counted = (
            RunRow.objects.filter(batch_id=batch_id)
            .order_by()
            .values_list("status")
            .annotate(Count("id"))
        )
        counts = {Status(status): count for status, count in counted}
    is_over = not set(counts) & LIVE  # runs and count commit together, and old runs are pruned
    return Batch(
        id=encode("batch", batch_id),
        status=Status.COMPLETED.value if is_over else "PENDING",
        run_count=row.run_count,
        counts=counts,
        created_at=row.created_at,
    )


def known_tasks() -> dict[str, dict[str, Any]]:
    """The task definitions that workers have stored."""
    with caller.translated():
        rows = TaskDefinition.objects.filter(environment_id=environment_id()).order_by("task_id")
        return {
            row.task_id: {
                "queue": row.queue,
                "machine": row.machine,
                "max_attempts": row.max_attempts,
                "version": row.version,
                "ttl_seconds": row.ttl_seconds,
                "max_duration_seconds": row.max_duration_seconds,
                "name": row.name,
                "description": row.description,
                "file": row.file,
            }
            for row in rows
        }


def run_value(row: RunRow, *, attempts: Sequence[Attempt] = ()) -> Run:
    """A row as the value that callers see."""
    public_id = encode("run", row.id)
    duration = row.finished_at - row.started_at if row.finished_at and row.started_at else None
    return Run(
        id=public_id,
        task_id=row.task_id,
        status=Status(row.status),
        version=row.version,
        environment=row.environment.slug,
        queue=row.queue,
        machine=row.worker_queue,
        payload=row.payload,
        output=row.output,
        error=_error(row.error),
        metadata=row.metadata,
        tags=tuple(row.tags),
        attempt_number=row.attempt_number,
        max_attempts=row.max_attempts,
        priority=row.priority_seconds,
        is_test=row.is_test,
        created_at=row.created_at,
        run_at=row.run_at if row.status in (Status.QUEUED, Status.DELAYED) else None,
        started_at=row.started_at,
        finished_at=row.finished_at,
        duration_ms=round(duration.total_seconds() * 1000) if duration else None,
        task_version=row.task_version,
        parent_id=_public("run", row.parent_id),
        root_id=_public("run", row.root_id),
        batch_id=_public("batch", row.batch_id),
        schedule_id=_public("sched", row.schedule_id),
        replay_of_id=_public("run", row.replay_of_id),
        url=ports.configuration().run_url(public_id),
        idempotency_key=row.idempotency_key,
        concurrency_keys=(row.concurrency_key, *row.further_keys) if row.concurrency_key else (),
        ttl_seconds=row.ttl_seconds,
        expires_at=row.expires_at,
        max_duration_seconds=row.max_duration_seconds,
        attempts=tuple(attempts),
    )


def _filtered(selected: RunFilter, environment: str | None) -> QuerySet[RunRow]:
    rows: QuerySet[RunRow] = RunRow.objects.filter(environment_id=environment_id(environment))
    wanted: dict[str, Any] = {
        "status__in": selected.statuses,
        "task_id__in": selected.task_ids,
        "tags__contains": list(selected.tags),
        "queue": selected.queue,
        "batch_id": selected.batch_id,
        "parent_id": selected.parent_id,
        "schedule_id": decode("sched", selected.schedule_id) if selected.schedule_id else None,
        "created_at__gte": selected.created_after,
        "created_at__lt": selected.created_before,
        "id__lt": selected.before_id,
    }
    if selected.tags:
        rows = rows.exclude(tags=[])  # what the partial index on tags covers
    return rows.filter(**{field: value for field, value in wanted.items() if value}).order_by("-id")


def _attempt(row: AttemptRow) -> Attempt:
    return Attempt(
        number=row.number,
        status=Status(row.status),
        started_at=row.started_at,
        finished_at=row.finished_at,
        error=_error(row.error),
        cpu_seconds=row.cpu_seconds,
        peak_memory_bytes=row.peak_memory_bytes,
        worker=row.worker.name if row.worker else None,
    )


def _error(stored: dict[str, Any] | None) -> RunError | None:
    if stored is None:
        return None
    return RunError(stored.get("name", ""), stored.get("message", ""), stored.get("traceback"))


def _public(prefix: str, value: UUID | None) -> str | None:
    return encode(prefix, value) if value else None
