"""Accept runs, inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from jobs_platform.domain.errors import TooManyItemsError
from jobs_platform.domain.ids import new_uuid
from jobs_platform.engine import caller, ledger
from jobs_platform.engine.accept import accept, wake_after_commit
from jobs_platform.engine.environments import environment_id
from jobs_platform.engine.item import Item
from jobs_platform.engine.line import Line
from jobs_platform.sdk.ports import Triggered, TriggerRequest

MAX_ITEMS = 1_000


def trigger(
    request: TriggerRequest, *, environment: str | None = None, replay_of_id: UUID | None = None
) -> Triggered:
    """Make a QUEUED run, or a DELAYED one; it exists when the caller's transaction commits.

    Where another run holds its key, that one is the answer. `QueueRefusedError` when its queue
    does not take it.
    """
    known = environment_id(environment)
    if request.is_plain:
        params = _one(request, environment_id=known) | {"replay_of_id": replay_of_id}
        rows = ledger.accept_one(caller.execute, params)
        if rows:
            if rows[0][0]:
                wake_after_commit(known, waiting={request.queue: {""}})
            else:
                wake_after_commit(known, claimable={request.worker_queue: 1})
            return Triggered(params["id"], request.task_id)
    item = Item(request, new_uuid(), replay_of_id)
    (answer,) = accept([item], environment_id=known)
    return answer


def trigger_batch(
    requests: Sequence[TriggerRequest],
    *,
    environment: str | None = None,
    batch_id: UUID | None = None,
) -> tuple[UUID, list[Triggered]]:
    """Make up to 1,000 runs in one statement; with `batch_id` they join that batch.

    Items whose key another run holds get that one, which does not join the batch.
    """
    if len(requests) > MAX_ITEMS:
        raise TooManyItemsError(count=len(requests), limit=MAX_ITEMS)
    known = environment_id(environment)
    batch = batch_id or new_uuid()
    items = [Item(request, new_uuid()) for request in requests]
    grown = {"id": batch, "environment_id": known}
    with caller.own_transaction():
        caller.execute("grow_batch", grown | {"count": len(items)})
        triggered = accept(items, environment_id=known, batch_id=batch) if items else []
        cached = sum(answer.is_cached for answer in triggered)
        if cached:
            caller.execute("grow_batch", grown | {"count": -cached})
    return batch, triggered


def trigger_on_schedule(
    line: Line,
    request: TriggerRequest,
    *,
    environment_id: int,
    schedule_id: UUID,
    scheduled_at: datetime,
) -> UUID:
    """Make the run of one nominal time, in the transaction that moves the schedule on.

    Its queue takes it also when it is full: a schedule fires once for each nominal time.
    """
    params = _one(request, environment_id=environment_id)
    origin = {"schedule_id": schedule_id, "scheduled_at": scheduled_at, "is_allowed": True}
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
        "ttl": request.ttl_seconds,
        "max_duration": request.max_duration_seconds,
        "names_queue": request.names_queue,
        "is_allowed": False,
        "replay_of_id": None,
        "schedule_id": None,
        "scheduled_at": None,
    }
