"""Accept runs, inside the caller's transaction."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from jobs_platform.domain.errors import TooManyItemsError
from jobs_platform.domain.ids import new_uuid
from jobs_platform.engine import caller, ledger
from jobs_platform.engine.environments import environment_id
from jobs_platform.engine.line import Line
from jobs_platform.sdk.ports import Triggered, TriggerRequest

MAX_ITEMS = 1_000


def trigger(
    request: TriggerRequest, *, environment: str | None = None, replay_of_id: UUID | None = None
) -> Triggered:
    """Make a QUEUED run; it exists when the caller's transaction commits."""
    params = one_params(request, environment_id=environment_id(environment))
    ledger.accept_one(caller.execute, params | {"replay_of_id": replay_of_id})
    caller.ring_after_commit({request.worker_queue: 1})
    return Triggered(params["id"], request.task_id)


def trigger_batch(
    requests: Sequence[TriggerRequest],
    *,
    environment: str | None = None,
    batch_id: UUID | None = None,
) -> tuple[UUID, list[Triggered]]:
    """Make up to 1,000 QUEUED runs in one statement; with `batch_id` they join that batch."""
    if len(requests) > MAX_ITEMS:
        raise TooManyItemsError(count=len(requests), limit=MAX_ITEMS)
    known = environment_id(environment)
    batch = batch_id or new_uuid()
    ids = [new_uuid() for _ in requests]
    with caller.own_transaction():
        caller.execute("grow_batch", {"id": batch, "environment_id": known, "count": len(ids)})
        if ids:
            params = batch_params(requests, ids=ids, environment_id=known)
            ledger.accept(caller.execute, params | {"batch_id": batch})
        caller.ring_after_commit(Counter(request.worker_queue for request in requests))
    return batch, [
        Triggered(run_id, request.task_id) for run_id, request in zip(ids, requests, strict=True)
    ]


def trigger_on_schedule(
    line: Line,
    request: TriggerRequest,
    *,
    environment_id: int,
    schedule_id: UUID,
    scheduled_at: datetime,
) -> UUID:
    """Make the run of one nominal time, in the transaction that moves the schedule on."""
    params = one_params(request, environment_id=environment_id)
    ledger.accept_one(
        line.execute, params | {"schedule_id": schedule_id, "scheduled_at": scheduled_at}
    )
    return cast(UUID, params["id"])


def one_params(request: TriggerRequest, *, environment_id: int) -> dict[str, Any]:
    """The scalars of `trigger_one.sql`."""
    return {
        "environment_id": environment_id,
        "id": new_uuid(),
        "task_id": request.task_id,
        "payload": request.payload,
        "queue": request.queue,
        "worker_queue": request.worker_queue,
        "priority": request.priority_seconds,
        "metadata": request.metadata or "{}",
        "tags": list(request.tags),
        "max_attempts": request.max_attempts,
        "is_test": request.is_test,
        "task_version": request.task_version,
        "parent_id": request.parent_id,
        "root_id": request.root_id,
        "replay_of_id": None,
        "schedule_id": None,
        "scheduled_at": None,
    }


def batch_params(
    requests: Sequence[TriggerRequest], *, ids: list[UUID], environment_id: int
) -> dict[str, Any]:
    """The arrays of `trigger.sql`."""
    return {
        "environment_id": environment_id,
        "batch_id": None,
        "ids": ids,
        "task_ids": [request.task_id for request in requests],
        "payloads": [request.payload for request in requests],
        "queues": [request.queue for request in requests],
        "worker_queues": [request.worker_queue for request in requests],
        "priorities": [request.priority_seconds for request in requests],
        "tags": [json.dumps(request.tags) if request.tags else None for request in requests],
        "metadata": [request.metadata for request in requests],
        "max_attempts": [request.max_attempts for request in requests],
        "are_tests": [request.is_test for request in requests],
        "task_versions": [request.task_version for request in requests],
        "parent_ids": [request.parent_id for request in requests],
        "root_ids": [request.root_id for request in requests],
    }
