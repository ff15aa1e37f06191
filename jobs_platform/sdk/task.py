"""`Task` and `@task`: a plain function that runs in the background, checked at import."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypedDict, Unpack, overload

from asgiref.sync import sync_to_async

from jobs_platform.domain.cron import Cron
from jobs_platform.domain.durations import Duration
from jobs_platform.domain.retrying import RetryPolicy
from jobs_platform.sdk import polling, ports, triggering
from jobs_platform.sdk.context import Context, current_run
from jobs_platform.sdk.declaration import Declaration, declare
from jobs_platform.sdk.handles import BatchHandle, RunHandle, run_uuid
from jobs_platform.sdk.hooks import Hook, Hooks
from jobs_platform.sdk.local import LocalFacts, local_run
from jobs_platform.sdk.options import TaskDefaults, TriggerOptions
from jobs_platform.sdk.queue import UNLIMITED, Queue
from jobs_platform.sdk.registry import registry
from jobs_platform.sdk.values import Run

Function = Callable[..., Any]


class TaskOptions(TypedDict, total=False):
    """What `@task(...)` takes."""

    id: str
    queue: Queue | str
    retry: RetryPolicy
    max_duration: Duration
    ttl: Duration
    machine: str
    name: str
    description: str
    version: str
    schema: Any
    init: Hook | list[Hook]
    cleanup: Hook | list[Hook]
    on_start: Hook | list[Hook]
    on_start_attempt: Hook | list[Hook]
    on_wait: Hook | list[Hook]
    on_resume: Hook | list[Hook]
    on_success: Hook | list[Hook]
    on_failure: Hook | list[Hook]
    on_complete: Hook | list[Hook]
    on_cancel: Hook | list[Hook]
    catch_error: Hook | list[Hook]
    middleware: Hook | list[Hook]


class Task(Hooks):
    """A declared task. Its methods trigger it; the hook methods are decorators."""

    def __init__(self, declared: Declaration, *, cron: Cron | None = None) -> None:
        super().__init__(f"task {declared.id!r}")
        self.declared = declared
        self.cron = cron
        """The schedule that comes with its code, if any."""
        self.id = declared.id
        self.function = declared.function
        self.call: Callable[[Any, Context], Any] = declared.signature.call
        """Calls the function with payload and context, as its signature wants them."""
        self.is_async = declared.signature.is_async
        self.load_payload = declared.payload_schema.load
        self.dump_payload = declared.payload_schema.dump
        self.dump_output = declared.output_schema.dump
        self.retry = declared.retry
        self.max_duration_seconds = declared.max_duration_seconds
        self.ttl_seconds = declared.ttl_seconds
        self.file, self.line = declared.file, declared.line
        self.qualified_name = declared.qualified_name
        for name, given in declared.hooks.items():
            for hook in given:
                self.add(name, hook)

    @property
    def place(self) -> str:
        return self.declared.place

    @property
    def defaults(self) -> TaskDefaults:
        return self.declared.defaults

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The function itself, called here and now, nothing checked."""
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<Task {self.id!r} at {self.place}>"

    def trigger(self, payload: Any = None, **options: Unpack[TriggerOptions]) -> RunHandle:
        """Trigger a run, in the caller's transaction if one is open."""
        return triggering.trigger(self, payload, options)

    async def atrigger(self, payload: Any = None, **options: Unpack[TriggerOptions]) -> RunHandle:
        return await sync_to_async(self.trigger)(payload, **options)

    def batch_trigger(
        self, items: Iterable[Any], **defaults: Unpack[TriggerOptions]
    ) -> BatchHandle:
        """Trigger a run for each item (a payload or a `BatchItem`), 1,000 in one statement."""
        return triggering.trigger_items(self, items, defaults)

    async def abatch_trigger(
        self, items: Iterable[Any], **defaults: Unpack[TriggerOptions]
    ) -> BatchHandle:
        return await sync_to_async(self.batch_trigger)(items, **defaults)

    def trigger_and_poll(
        self,
        payload: Any = None,
        *,
        poll_interval: Duration = 1.0,
        timeout: Duration | None = None,
        **options: Unpack[TriggerOptions],
    ) -> Run:
        """Trigger a run and block until it is final. Refused inside an open transaction."""
        polling.refuse_open_transaction("trigger_and_poll")
        handle = self.trigger(payload, **options)
        return polling.poll(run_uuid(handle), interval=poll_interval, timeout=timeout)

    async def atrigger_and_poll(
        self,
        payload: Any = None,
        *,
        poll_interval: Duration = 1.0,
        timeout: Duration | None = None,  # noqa: ASYNC109 - as in its twin
        **options: Unpack[TriggerOptions],
    ) -> Run:
        await sync_to_async(polling.refuse_open_transaction)("atrigger_and_poll")
        handle = await self.atrigger(payload, **options)
        return await polling.apoll(run_uuid(handle), interval=poll_interval, timeout=timeout)

    def local(self, payload: Any = None) -> Any:
        """Call the function here, with the payload it would get from a run; nothing is stored.

        An async function gives a coroutine. Hooks and retries are left out.
        """
        value = self.load_payload(self.dump_payload(payload))
        if self.is_async:
            return self._alocal(value)
        active = current_run.get()
        if active is not None:
            return self.call(value, active.context)
        active = self._stand_in()
        token = current_run.set(active)
        try:
            return self.call(value, active.context)
        finally:
            current_run.reset(token)

    async def _alocal(self, value: Any) -> Any:
        active = current_run.get()
        token = None
        if active is None:
            active = self._stand_in()
            token = current_run.set(active)
        try:
            return await self.call(value, active.context)
        finally:
            if token is not None:
                current_run.reset(token)

    def _stand_in(self) -> Any:
        facts = LocalFacts(
            task_id=self.id,
            queue=self.defaults.queue,
            environment=ports.configuration().environment,
            worker_queue=self.defaults.machine or "default",
            task_version=self.defaults.version,
        )
        return local_run(facts, task_file=self.file)

    def definition(self) -> dict[str, Any]:
        """What workers store about it, in JSON types."""
        declared, retry = self.declared, self.retry
        return {
            "id": self.id,
            "name": declared.name,
            "description": declared.description,
            "version": self.defaults.version,
            "file": _shown_path(self.file),
            "line": self.line,
            "is_async": self.is_async,
            "queue": self.defaults.queue,
            **(declared.queue or UNLIMITED).definition(),
            "machine": self.defaults.machine,
            "max_attempts": retry.max_attempts if retry else None,
            "max_duration_seconds": self.max_duration_seconds,
            "ttl_seconds": self.ttl_seconds,
            "payload_schema": declared.payload_schema.json_schema(),
            "cron": self.cron.expression if self.cron else None,
            "timezone": self.cron.timezone if self.cron else None,
        }


@overload
def task(function: Function, /) -> Task: ...
@overload
def task(**options: Unpack[TaskOptions]) -> Callable[[Function], Task]: ...
def task(function: Function | None = None, /, **options: Any) -> Any:
    """Declare a function as a task: `@task`, or `@task(id=…, queue=…, retry=…)`."""
    local_names = caller_names(sys._getframe(1))
    if function is not None:
        return make_task(function, options, local_names=local_names)
    return lambda decorated: make_task(decorated, options, local_names=local_names)


def make_task(
    function: Function,
    options: Mapping[str, Any],
    *,
    local_names: Mapping[str, Any],
    cron: Cron | None = None,
) -> Task:
    """Check a declaration, and register the task it makes."""
    made = Task(declare(function, options, local_names=local_names), cron=cron)
    registry.register(made)
    return made


def caller_names(frame: Any) -> Mapping[str, Any]:
    """Names that annotations may use when a task is declared inside a function."""
    return {} if frame.f_locals is frame.f_globals else dict(frame.f_locals)


def _shown_path(file: str) -> str:
    """Relative to the project where possible: definitions are the same on every machine."""
    base = Path(ports.configuration().base_dir or Path.cwd())
    try:
        return Path(file).relative_to(base.resolve()).as_posix()
    except ValueError:
        return file
