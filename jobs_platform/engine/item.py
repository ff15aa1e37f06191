"""Requests as the items of `trigger_batch.sql`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from json import dumps
from typing import Any
from uuid import UUID

from jobs_platform.sdk.ports import TriggerRequest


@dataclass(frozen=True, slots=True)
class Item:
    """A request, and the id that its run gets."""

    request: TriggerRequest
    run_id: UUID
    replay_of_id: UUID | None = None

    @property
    def has_key(self) -> bool:
        """Whether another run may be the answer."""
        return self.request.idempotency is not None or self.request.debounce is not None

    @property
    def held_key(self) -> tuple[str, str] | None:
        """Task and key, which are unique together; None without an idempotency key."""
        claim = self.request.idempotency
        return None if claim is None else (self.request.task_id, claim.held)


def documents(items: Iterable[Item]) -> str:
    """The JSON array. Put together by hand: payloads are JSON text already."""
    return f"[{','.join(map(_document, items))}]"


def _document(item: Item) -> str:
    request = item.request
    parts = [
        f'{{"id":"{item.run_id.hex}","task_id":{dumps(request.task_id)}',
        f'"payload":{request.payload}',
        f'"queue":{dumps(request.queue)}',
        f'"worker_queue":{dumps(request.worker_queue)}',
        f'"max_attempts":{request.max_attempts}',
    ]
    if request.metadata is not None:
        parts.append(f'"metadata":{request.metadata}')
    extras = _extras(request)
    if not request.is_plain or item.replay_of_id is not None:
        extras |= _keys_and_times(item)
    parts += [f'"{name}":{dumps(value, default=str)}' for name, value in extras.items() if value]
    return ",".join(parts) + "}"


def _extras(request: TriggerRequest) -> dict[str, Any]:
    return {
        "priority": request.priority_seconds,
        "tags": request.tags,
        "is_test": request.is_test,
        "task_version": request.task_version,
        "parent_id": request.parent_id,
        "root_id": request.root_id,
        "ttl": request.ttl_seconds,
        "max_duration": request.max_duration_seconds,
    }


def _keys_and_times(item: Item) -> dict[str, Any]:
    request, claim, debounce = item.request, item.request.idempotency, item.request.debounce
    return {
        "replay_of_id": item.replay_of_id,
        "delay": debounce.delay_seconds if debounce else request.delay_seconds,
        "delay_until": request.delay_until,
        "key": request.concurrency_keys[0] if request.concurrency_keys else None,
        "further_keys": request.concurrency_keys[1:],
        "weight": request.rate_weight,
        "idempotency_key": claim.shown if claim else None,
        "held_key": claim.held if claim else None,
        "key_ttl": claim.ttl_seconds if claim else None,
        "debounce_key": debounce.key if debounce else None,
        "longest": debounce.max_delay_seconds if debounce else None,
    }
