"""`Context`, what a run may know about itself, and the context variable that says which run it is.

Everything hangs on `current_run`, so many runs may execute in one process. Values are made when
they are asked for: most runs never look.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

from jobs_platform.domain import ids
from jobs_platform.domain.errors import OutsideRunError
from jobs_platform.domain.machines import Machine

if TYPE_CHECKING:
    from jobs_platform.sdk.logger import Logger

CancelFlag = threading.Event
"""Set when the run was cancelled or its attempt has used up its maximum duration; a loop may look
at it, or wait on it instead of sleeping."""


class RunLog(Protocol):
    """Takes what a run writes."""

    def add(self, level: str, message: str, fields: str | None, source: str) -> None:
        """One line; `fields` is JSON text."""
        ...

    def feed(self, text: str, source: str) -> None:
        """Output as it comes, in pieces of lines."""
        ...


class ClaimedFacts(Protocol):
    """What a claim tells about a run (`engine.handoff.ClaimedRun` is one)."""

    @property
    def id(self) -> UUID: ...
    @property
    def fencing_token(self) -> int: ...
    @property
    def task_id(self) -> str: ...
    @property
    def attempt_number(self) -> int: ...
    @property
    def max_attempts(self) -> int: ...
    @property
    def environment(self) -> str: ...
    @property
    def queue(self) -> str: ...
    @property
    def worker_queue(self) -> str: ...
    @property
    def priority_seconds(self) -> float: ...
    @property
    def tags(self) -> tuple[str, ...]: ...
    @property
    def metadata(self) -> dict[str, Any]: ...
    @property
    def is_test(self) -> bool: ...
    @property
    def task_version(self) -> str | None: ...
    @property
    def created_at(self) -> datetime: ...
    @property
    def started_at(self) -> datetime: ...
    @property
    def attempt_started_at(self) -> datetime: ...
    @property
    def parent_id(self) -> UUID | None: ...
    @property
    def root_id(self) -> UUID | None: ...
    @property
    def batch_id(self) -> UUID | None: ...
    @property
    def replay_of_id(self) -> UUID | None: ...
    @property
    def schedule_id(self) -> str | None: ...
    @property
    def idempotency_key(self) -> str | None: ...
    @property
    def max_duration_seconds(self) -> float | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    id: str
    tags: tuple[str, ...]
    is_test: bool
    is_replay: bool
    created_at: datetime
    started_at: datetime
    idempotency_key: str | None
    parent_id: str | None
    root_id: str | None
    priority: float
    max_attempts: int
    max_duration: float | None
    """Seconds of active time that an attempt may use; None is unlimited."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptInfo:
    id: str
    number: int
    started_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskInfo:
    id: str
    file: str


@dataclass(frozen=True, slots=True)
class QueueInfo:
    name: str


@dataclass(frozen=True, slots=True)
class EnvironmentInfo:
    slug: str


@dataclass(frozen=True, slots=True)
class BatchInfo:
    id: str


@dataclass(frozen=True, slots=True)
class MachineInfo:
    name: str
    cpu: float | None = None
    """Processors; None, as its memory, for runs that name no machine."""
    memory_gb: float | None = None


@dataclass(frozen=True, slots=True)
class ScheduleInfo:
    id: str


class Context:
    """What a run may know about itself, for one attempt."""

    __slots__ = ("_active", "_run", "init")

    def __init__(self, active: ActiveRun) -> None:
        self._active = active
        self._run: RunInfo | None = None
        self.init: Any = None
        """What the `init` hooks returned."""

    @property
    def run(self) -> RunInfo:
        if self._run is None:
            facts = self._active.facts
            self._run = RunInfo(
                id=ids.encode("run", facts.id),
                tags=facts.tags,
                is_test=facts.is_test,
                is_replay=facts.replay_of_id is not None,
                created_at=facts.created_at,
                started_at=facts.started_at,
                idempotency_key=facts.idempotency_key,
                parent_id=_encoded("run", facts.parent_id),
                root_id=_encoded("run", facts.root_id),
                priority=facts.priority_seconds,
                max_attempts=facts.max_attempts,
                max_duration=self._active.max_duration_seconds,
            )
        return self._run

    @property
    def attempt(self) -> AttemptInfo:
        facts = self._active.facts
        return AttemptInfo(
            id=f"{self.run.id}.{facts.attempt_number}",
            number=facts.attempt_number,
            started_at=facts.attempt_started_at,
        )

    @property
    def task(self) -> TaskInfo:
        return TaskInfo(id=self._active.facts.task_id, file=self._active.task_file)

    @property
    def queue(self) -> QueueInfo:
        return QueueInfo(self._active.facts.queue)

    @property
    def environment(self) -> EnvironmentInfo:
        return EnvironmentInfo(self._active.facts.environment)

    @property
    def batch(self) -> BatchInfo | None:
        batch_id = _encoded("batch", self._active.facts.batch_id)
        return BatchInfo(batch_id) if batch_id else None

    @property
    def machine(self) -> MachineInfo:
        name, machine = self._active.facts.worker_queue, self._active.machine
        return MachineInfo(name, machine.cpu, machine.memory_gb) if machine else MachineInfo(name)

    @property
    def version(self) -> str | None:
        return self._active.facts.task_version

    @property
    def schedule(self) -> ScheduleInfo | None:
        schedule_id = self._active.facts.schedule_id
        return ScheduleInfo(schedule_id) if schedule_id else None

    @property
    def logger(self) -> Logger:
        return self._active.logger

    @property
    def metadata(self) -> Mapping[str, Any]:
        """As it stood when the attempt began; read only."""
        return MappingProxyType(self._active.facts.metadata)

    @property
    def cancelled(self) -> threading.Event:
        return self._active.cancelled

    @property
    def locals(self) -> dict[Any, Any]:
        return self._active.locals

    def __repr__(self) -> str:
        facts = self._active.facts
        return f"<Context of {self.run.id}, task {facts.task_id}, attempt {facts.attempt_number}>"


class ActiveRun:
    """A run that executes here and now, as the SDK's calls inside it see it."""

    __slots__ = (
        "_cancelled",
        "_context",
        "_locals",
        "added_tags",
        "cpu_clock",
        "facts",
        "is_local",
        "log",
        "log_level",
        "logger",
        "machine",
        "max_duration_seconds",
        "started_cpu",
        "started_monotonic",
        "task_file",
    )

    def __init__(
        self,
        facts: ClaimedFacts,
        *,
        log: RunLog,
        logger: Logger,
        task_file: str = "",
        cancelled: threading.Event | None = None,
        log_level: int = 0,
        max_duration_seconds: float | None = None,
        machine: Machine | None = None,
        cpu_clock: Callable[[], float] = time.thread_time,
        is_local: bool = False,
    ) -> None:
        self.facts = facts
        self.is_local = is_local
        self.log = log
        self.logger = logger
        self.log_level = log_level
        self.task_file = task_file
        self.max_duration_seconds = max_duration_seconds
        self.machine = machine
        self.added_tags: tuple[str, ...] = ()
        self.cpu_clock = cpu_clock
        self.started_cpu = cpu_clock()
        self.started_monotonic = time.monotonic()
        self._cancelled = cancelled
        self._context: Context | None = None
        self._locals: dict[Any, Any] | None = None

    @property
    def context(self) -> Context:
        if self._context is None:
            self._context = Context(self)
        return self._context

    @property
    def cancelled(self) -> threading.Event:
        if self._cancelled is None:
            self._cancelled = CancelFlag()
        return self._cancelled

    @property
    def locals(self) -> dict[Any, Any]:
        if self._locals is None:
            self._locals = {}
        return self._locals


current_run: ContextVar[ActiveRun | None] = ContextVar("jobs_current_run", default=None)


def active_run(name: str) -> ActiveRun:
    """The run that executes here; `OutsideRunError` says that `name` needs one."""
    active = current_run.get()
    if active is None:
        raise OutsideRunError(name=name)
    return active


class _CurrentContext:
    """`ctx`: the context of the run that executes here."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(active_run(f"ctx.{name}").context, name)

    def __repr__(self) -> str:
        active = current_run.get()
        return repr(active.context) if active else "<ctx outside a run>"


ctx = _CurrentContext()


def _encoded(prefix: str, value: UUID | None) -> str | None:
    return None if value is None else ids.encode(prefix, value)
