"""Run something again: a new run with the payload of an old one."""

from __future__ import annotations

from uuid import UUID

from django.db.models import TextField
from django.db.models.functions import Cast

from jobs_platform.domain.errors import RunNotFoundError
from jobs_platform.domain.ids import encode
from jobs_platform.engine import caller
from jobs_platform.engine.trigger import trigger
from jobs_platform.models import Run
from jobs_platform.sdk.ports import Triggered, TriggerRequest


def replay(run_id: UUID, *, payload: str | None = None) -> Triggered:
    """A new QUEUED run with task, queue, concurrency keys, tags and limits of an old one.

    Its payload or another; without the delay and the idempotency key, which would be the old run's.
    """
    with caller.translated():
        rows = Run.objects.select_related("environment").filter(id=run_id)
        old = rows.annotate(payload_text=Cast("payload", TextField())).first()
    if old is None:
        raise RunNotFoundError(id=encode("run", run_id))
    request = TriggerRequest(
        task_id=old.task_id,
        payload=payload if payload is not None else old.payload_text,
        queue=old.queue,
        worker_queue=old.worker_queue,
        max_attempts=old.max_attempts,
        priority_seconds=old.priority_seconds,
        tags=tuple(old.tags),
        is_test=old.is_test,
        task_version=old.task_version,
        ttl_seconds=old.ttl_seconds,
        max_duration_seconds=old.max_duration_seconds,
        concurrency_keys=(old.concurrency_key, *old.further_keys) if old.concurrency_key else (),
        rate_weight=old.rate_weight,
    )
    return trigger(request, environment=old.environment.slug, replay_of_id=old.id)
