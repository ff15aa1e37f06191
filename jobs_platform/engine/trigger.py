"""Accept runs, inside the caller's transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from json import dumps
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
    params = _one(request, environment_id=environment_id(environment))
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
    triggered = [Triggered(new_uuid(), request.task_id) for request in requests]
    with caller.own_transaction():
        caller.execute("grow_batch", {"id": batch, "environment_id": known, "count": len(requests)})
        if requests:
            items = [
                _item(request, made.id) for request, made in zip(requests, triggered, strict=True)
            ]
            params = {
                "environment_id": known,
                "batch_id": batch,
                "items": f"[{','.join(items)}]",
            }
            ledger.accept_batch(caller.execute, params)
        caller.ring_after_commit(Counter(request.worker_queue for request in requests))
    return batch, triggered


def trigger_on_schedule(
    line: Line,
    request: TriggerRequest,
    *,
    environment_id: int,
    schedule_id: UUID,
    scheduled_at: datetime,
) -> UUID:
    """Make the run of one nominal time, in the transaction that moves the schedule on."""
    params = _one(request, environment_id=environment_id)
    origin = {"schedule_id": schedule_id, "scheduled_at": scheduled_at}
    ledger.accept_one(line.execute, params | origin)
    return cast(UUID, params["id"])


def _one(request: TriggerRequest, *, environment_id: int) -> dict[str, Any]:
    """The scalars of `trigger_one.sql`, for a run without an origin."""
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


def _item(request: TriggerRequest, run_id: UUID) -> str:
    """One item of `trigger_batch.sql`. Put together by hand: the payload is JSON text already."""
    parts = [
        f'{{"id":"{run_id.hex}","task_id":{dumps(request.task_id)}',
        f'"payload":{request.payload}',
        f'"queue":{dumps(request.queue)}',
        f'"worker_queue":{dumps(request.worker_queue)}',
        f'"max_attempts":{request.max_attempts}',
    ]
    if request.metadata is not None:
        parts.append(f'"metadata":{request.metadata}')
    extras = {
        "priority": request.priority_seconds,
        "tags": request.tags,
        "is_test": request.is_test,
        "task_version": request.task_version,
        "parent_id": request.parent_id,
        "root_id": request.root_id,
    }
    parts += [f'"{name}":{dumps(value, default=str)}' for name, value in extras.items() if value]
    return ",".join(parts) + "}"
