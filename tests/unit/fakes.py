"""A fake of the engine's port: keeps what it is asked, answers from what it was given."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from jobs_platform.domain.ids import new_uuid
from jobs_platform.domain.lifecycle import Status
from jobs_platform.sdk.ports import RunFilter, Triggered, TriggerRequest
from jobs_platform.sdk.values import Batch, Event, LogLine, Run


class RecordingEngine:
    """Every verb appends to `calls`; attributes are the answers."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.requests: list[TriggerRequest] = []
        self.environments: list[str | None] = []
        self.known: dict[str, dict[str, Any]] = {}
        self.statuses: list[Status] = [Status.COMPLETED]
        self.run: Any = None
        self.is_in_transaction = False

    def trigger(self, request: TriggerRequest, *, environment: str | None = None) -> Triggered:
        self.requests.append(request)
        self.environments.append(environment)
        return Triggered(new_uuid(), request.task_id)

    def trigger_batch(
        self,
        requests: Sequence[TriggerRequest],
        *,
        environment: str | None = None,
        batch_id: UUID | None = None,
    ) -> tuple[UUID, list[Triggered]]:
        self.calls.append(("trigger_batch", len(requests), batch_id))
        made = [self.trigger(request, environment=environment) for request in requests]
        return batch_id or new_uuid(), made

    def retrieve(self, run_id: UUID) -> Run:
        self.calls.append(("retrieve", run_id))
        return self.run

    def list_runs(self, selected: RunFilter, *, environment: str | None = None) -> list[Run]:
        self.calls.append(("list_runs", selected, environment))
        return []

    def status_of(self, run_id: UUID) -> tuple[Status, int]:
        self.calls.append(("status_of", run_id))
        return (self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]), 1

    def events_of(self, run_id: UUID) -> list[Event]:
        return []

    def log_lines_of(self, run_id: UUID, *, after_id: int = 0, limit: int = 1000) -> list[LogLine]:
        self.calls.append(("log_lines_of", run_id, after_id, limit))
        return []

    def cancel(self, run_id: UUID, *, reason: str | None = None) -> bool:
        self.calls.append(("cancel", run_id, reason))
        return True

    def reschedule(
        self, run_id: UUID, *, delay_seconds: float | None, delay_until: datetime | None
    ) -> None:
        self.calls.append(("reschedule", run_id, delay_seconds, delay_until))

    def reset_idempotency_key(
        self, task_id: str, held_key: str, *, environment: str | None = None
    ) -> bool:
        self.calls.append(("reset_idempotency_key", task_id, held_key, environment))
        return True

    def replay(self, run_id: UUID, *, payload: str | None = None) -> Triggered:
        self.calls.append(("replay", run_id, payload))
        return Triggered(new_uuid(), "t")

    def retrieve_batch(self, batch_id: UUID) -> Batch:
        self.calls.append(("retrieve_batch", batch_id))
        return self.run

    def add_tags(self, run_id: UUID, tags: Iterable[str]) -> None:
        self.calls.append(("add_tags", run_id, tuple(tags)))

    def known_tasks(self) -> dict[str, dict[str, Any]]:
        return self.known

    def in_transaction(self) -> bool:
        return self.is_in_transaction
