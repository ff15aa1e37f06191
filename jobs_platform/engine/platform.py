"""The engine as callers see it: what `apps.py` plugs into the SDK."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from jobs_platform.domain.lifecycle import Status
from jobs_platform.engine import caller, read
from jobs_platform.engine.cancel import cancel
from jobs_platform.engine.control import PostgresControl
from jobs_platform.engine.key import reset_key
from jobs_platform.engine.replay import replay
from jobs_platform.engine.reschedule import reschedule
from jobs_platform.engine.tag import add_tags
from jobs_platform.engine.trigger import trigger, trigger_batch
from jobs_platform.sdk.ports import RunFilter, Triggered, TriggerRequest
from jobs_platform.sdk.values import Batch, Event, LogLine, Run


class PostgresEngine(PostgresControl):
    """`sdk.ports.Engine` over the caller's Django connection."""

    def trigger(self, request: TriggerRequest, *, environment: str | None = None) -> Triggered:
        return trigger(request, environment=environment)

    def trigger_batch(
        self,
        requests: Sequence[TriggerRequest],
        *,
        environment: str | None = None,
        batch_id: UUID | None = None,
    ) -> tuple[UUID, list[Triggered]]:
        return trigger_batch(requests, environment=environment, batch_id=batch_id)

    def retrieve(self, run_id: UUID) -> Run:
        return read.retrieve(run_id)

    def list_runs(self, selected: RunFilter, *, environment: str | None = None) -> list[Run]:
        return read.list_runs(selected, environment=environment)

    def status_of(self, run_id: UUID) -> tuple[Status, int]:
        return read.status_of(run_id)

    def events_of(self, run_id: UUID) -> list[Event]:
        return read.events_of(run_id)

    def log_lines_of(self, run_id: UUID, *, after_id: int = 0, limit: int = 1000) -> list[LogLine]:
        return read.log_lines_of(run_id, after_id=after_id, limit=limit)

    def cancel(self, run_id: UUID, *, reason: str | None = None) -> bool:
        return cancel(run_id, reason=reason)

    def reschedule(
        self, run_id: UUID, *, delay_seconds: float | None, delay_until: datetime | None
    ) -> None:
        reschedule(run_id, delay_seconds=delay_seconds, delay_until=delay_until)

    def reset_idempotency_key(
        self, task_id: str, held_key: str, *, environment: str | None = None
    ) -> bool:
        return reset_key(task_id, held_key, environment=environment)

    def replay(self, run_id: UUID, *, payload: str | None = None) -> Triggered:
        return replay(run_id, payload=payload)

    def retrieve_batch(self, batch_id: UUID) -> Batch:
        return read.retrieve_batch(batch_id)

    def add_tags(self, run_id: UUID, tags: Iterable[str]) -> None:
        add_tags(run_id, tags)

    def known_tasks(self) -> dict[str, dict[str, Any]]:
        return read.known_tasks()

    def in_transaction(self) -> bool:
        return caller.in_transaction()
