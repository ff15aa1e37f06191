"""What the SDK asks of the platform behind it, and where `apps.py` plugs that in.

The Protocols are implemented by `jobs_platform.engine`; nothing here may import it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from jobs_platform.domain.configuration import Configuration
from jobs_platform.domain.errors import NotConfiguredError
from jobs_platform.domain.lifecycle import Status
from jobs_platform.sdk.control import Control
from jobs_platform.sdk.debounce import Debounce
from jobs_platform.sdk.queue import Queue
from jobs_platform.sdk.values import Batch, Event, LogLine, Run


@dataclass(frozen=True, slots=True)
class KeyClaim:
    """An idempotency key that the run is to hold."""

    shown: str
    held: str
    """Unique for the task in its environment, while it is held."""
    ttl_seconds: float


@dataclass(frozen=True, slots=True)
class TriggerRequest:
    """One checked trigger: everything that decides the row, and nothing else."""

    task_id: str
    payload: str
    """JSON text, already validated and within the size limit."""
    queue: str
    worker_queue: str
    """The machine preset, or `default`: which workers may claim it."""
    max_attempts: int
    priority_seconds: float = 0.0
    tags: tuple[str, ...] = ()
    metadata: str | None = None
    is_test: bool = False
    task_version: str | None = None
    parent_id: UUID | None = None
    root_id: UUID | None = None
    delay_seconds: float | None = None
    delay_until: datetime | None = None
    """Instead of `delay_seconds`; aware."""
    ttl_seconds: float | None = None
    max_duration_seconds: float | None = None
    concurrency_keys: tuple[str, ...] = ()
    rate_weight: int = 1
    idempotency: KeyClaim | None = None
    debounce: Debounce | None = None
    queue_limits: Queue | None = None
    """What the code that triggers says of the queue, where that is more than its name."""
    names_queue: bool = False
    """The trigger chose the queue; it is made if there is none of that name."""

    @property
    def is_delayed(self) -> bool:
        """Whether it is not to be queued at once (unless its instant is past)."""
        return bool(self.delay_seconds or self.delay_until or self.debounce)

    @property
    def is_plain(self) -> bool:
        """Whether the shortest statement can write it."""
        return (
            self.delay_seconds is None
            and self.delay_until is None
            and self.idempotency is None
            and self.debounce is None
            and self.queue_limits is None
            and not self.concurrency_keys
            and self.rate_weight == 1
        )


@dataclass(frozen=True, slots=True)
class Triggered:
    """The answer to one trigger."""

    id: UUID
    task_id: str
    is_cached: bool = False
    """No run was made: this one holds the key."""


@dataclass(frozen=True, slots=True)
class RunFilter:
    """What `runs.list` selects; every given field must match (all tags, any status or task)."""

    statuses: tuple[Status, ...] = ()
    task_ids: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    queue: str | None = None
    batch_id: UUID | None = None
    parent_id: UUID | None = None
    schedule_id: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    before_id: UUID | None = None
    """Cursor: only runs created before this one (newest first)."""
    limit: int = 50


class Engine(Control, Protocol):
    """The verbs that callers may use. `environment` is a slug; None means the configured one."""

    def trigger(self, request: TriggerRequest, *, environment: str | None = None) -> Triggered: ...
    def trigger_batch(
        self,
        requests: Sequence[TriggerRequest],
        *,
        environment: str | None = None,
        batch_id: UUID | None = None,
    ) -> tuple[UUID, list[Triggered]]:
        """One statement for up to 1,000 requests; with `batch_id` they join that batch."""
        ...

    def retrieve(self, run_id: UUID) -> Run: ...
    def list_runs(self, selected: RunFilter, *, environment: str | None = None) -> list[Run]: ...
    def status_of(self, run_id: UUID) -> tuple[Status, int]:
        """Status and version, for polling."""
        ...

    def events_of(self, run_id: UUID) -> list[Event]: ...
    def log_lines_of(
        self, run_id: UUID, *, after_id: int = 0, limit: int = 1000
    ) -> list[LogLine]: ...
    def cancel(self, run_id: UUID, *, reason: str | None = None) -> bool:
        """False when the run was already final."""
        ...

    def reschedule(
        self, run_id: UUID, *, delay_seconds: float | None, delay_until: datetime | None
    ) -> None:
        """`RunNotDelayedError` unless it is DELAYED."""
        ...

    def reset_idempotency_key(
        self, task_id: str, held_key: str, *, environment: str | None = None
    ) -> bool:
        """False when no run holds the key."""
        ...

    def replay(self, run_id: UUID, *, payload: str | None = None) -> Triggered: ...
    def retrieve_batch(self, batch_id: UUID) -> Batch: ...
    def add_tags(self, run_id: UUID, tags: Iterable[str]) -> None: ...
    def in_transaction(self) -> bool:
        """Whether the caller has a transaction open: what it triggers is invisible until then."""
        ...

    def known_tasks(self) -> dict[str, dict[str, Any]]:
        """Task definitions stored by workers: id → queue, machine, max_attempts …"""
        ...


class _Platform:
    """The bound implementation; the only mutable state of the SDK beside the task registry."""

    engine: Engine | None = None
    configuration: Configuration = Configuration()


_platform = _Platform()


def bind(*, engine: Engine | None = None, configuration: Configuration | None = None) -> None:
    """Plug in the engine and the project's settings. Called once, by `apps.py`."""
    if engine is not None:
        _platform.engine = engine
    if configuration is not None:
        _platform.configuration = configuration


def engine() -> Engine:
    if _platform.engine is None:
        raise NotConfiguredError
    return _platform.engine


def configuration() -> Configuration:
    return _platform.configuration
