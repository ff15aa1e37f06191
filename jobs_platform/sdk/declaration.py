"""What `@task(...)` was told, checked: a bad id, option or signature fails the import."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from jobs_platform.domain.errors import InvalidTaskError, JobsError, close_matches, did_you_mean
from jobs_platform.domain.retrying import RetryPolicy
from jobs_platform.sdk import signature
from jobs_platform.sdk.hooks import ARITY, Hook
from jobs_platform.sdk.options import (
    TaskDefaults,
    TriggerOptions,
    check_machine,
    check_version,
)
from jobs_platform.sdk.queue import Queue, queue_name
from jobs_platform.sdk.schema import OutputSchema, PayloadSchema, SchemaError
from jobs_platform.sdk.signature import Signature, SignatureError
from jobs_platform.sdk.timing import check_max_duration, check_ttl

MAX_ID_LENGTH = 128
ALLOWED_IN_ID = "a-z 0-9 - _ . /"
OPTIONS = (
    "id",
    "queue",
    "retry",
    "max_duration",
    "ttl",
    "machine",
    "name",
    "description",
    "version",
    "schema",
    *ARITY,
)
LATER = frozenset({"on_event", "match", "on_webhook"})

_ID = re.compile(r"[a-z0-9][a-z0-9_./-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """A checked task declaration."""

    id: str
    function: Callable[..., Any]
    file: str
    line: int
    qualified_name: str
    name: str | None
    description: str | None
    queue: Queue | None
    retry: RetryPolicy | None
    max_duration_seconds: float | None
    ttl_seconds: float | None
    signature: Signature
    payload_schema: PayloadSchema
    output_schema: OutputSchema
    defaults: TaskDefaults
    hooks: Mapping[str, tuple[Hook, ...]]

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line} ({self.qualified_name})"


def slug(name: str) -> str:
    """The task id that a function's name (or a bad id) suggests."""
    spaced = re.sub(r"([a-z0-9])([A-Z])", r"\1-\2", name).lower()
    return re.sub(r"[^a-z0-9./]+", "-", spaced).strip("-./")[:MAX_ID_LENGTH]


def declare(
    function: Callable[..., Any], options: Mapping[str, Any], *, local_names: Mapping[str, Any]
) -> Declaration:
    """Check a declaration; `InvalidTaskError` says what is wrong and where."""
    return _Declaring(function, options).result(local_names)


class _Declaring:
    """One declaration being checked; knows the place for its complaints."""

    def __init__(self, function: Callable[..., Any], options: Mapping[str, Any]) -> None:
        code = getattr(inspect.unwrap(function), "__code__", None)
        self.function = function
        self.options = options
        self.file = str(Path(code.co_filename).resolve()) if code else "?"
        self.line = code.co_firstlineno if code else 0
        fallback = type(function).__name__
        self.qualified_name = getattr(function, "__qualname__", fallback)
        default = slug(getattr(function, "__name__", fallback))
        self.task_id = options.get("id", default)

    def result(self, local_names: Mapping[str, Any]) -> Declaration:
        self._check_names()
        task_id = self._id()
        read = self._signature(local_names)
        payload_schema, output_schema = self._schemas(read)
        queue = self.options.get("queue")
        limits = queue if isinstance(queue, Queue) and queue.has_limits else None
        retry = self._retry()
        max_duration = self._checked(check_max_duration, self.options.get("max_duration"))
        ttl = self._checked(check_ttl, self.options.get("ttl"))
        return Declaration(
            id=task_id,
            function=self.function,
            file=self.file,
            line=self.line,
            qualified_name=self.qualified_name,
            name=self._text("name"),
            description=self._text("description") or inspect.getdoc(self.function),
            queue=queue if isinstance(queue, Queue) else None,
            retry=retry,
            max_duration_seconds=max_duration,
            ttl_seconds=ttl,
            signature=read,
            payload_schema=payload_schema,
            output_schema=output_schema,
            defaults=TaskDefaults(
                queue=f"task/{task_id}" if queue is None else self._checked(queue_name, queue),
                machine=self._checked(check_machine, self.options.get("machine")),
                max_attempts=retry.max_attempts if retry else None,
                version=self._checked(check_version, self._text("version")),
                queue_limits=limits,
                ttl_seconds=ttl,
                max_duration_seconds=max_duration,
            ),
            hooks={name: self._hooks(name) for name in ARITY if name in self.options},
        )

    def _check_names(self) -> None:
        for name in self.options:
            if name in LATER:
                self._refuse(f"the option {name} is not available yet")
            if name not in OPTIONS:
                self._refuse(f"there is no option {name!r}", _hint(name))

    def _id(self) -> str:
        given = self.task_id
        if not isinstance(given, str) or not _ID.fullmatch(given) or len(given) > MAX_ID_LENGTH:
            suggested = slug(given) if isinstance(given, str) else ""
            hint = f' Use "{suggested}".' if suggested else ' Name it with @task(id="…").'
            reason = f"the id is not 1 to {MAX_ID_LENGTH} of {ALLOWED_IN_ID}"
            self._refuse(f"{reason}, starting with a letter or digit", hint)
        return given

    def _signature(self, local_names: Mapping[str, Any]) -> Signature:
        try:
            return signature.read(self.function, local_names=local_names)
        except SignatureError as error:
            self._refuse(str(error))

    def _schemas(self, read: Signature) -> tuple[PayloadSchema, OutputSchema]:
        annotation = self.options.get("schema", read.payload_annotation)
        try:
            return (
                PayloadSchema(annotation, task_id=self.task_id),
                OutputSchema(read.return_annotation, task_id=self.task_id),
            )
        except SchemaError as error:
            self._refuse(str(error))

    def _retry(self) -> RetryPolicy | None:
        retry = self.options.get("retry")
        if retry is not None and not isinstance(retry, RetryPolicy):
            self._refuse(f"retry is {retry!r}, not a Retry(max_attempts=…)")
        return retry

    def _text(self, name: str) -> str | None:
        value = self.options.get(name)
        if value is not None and (not isinstance(value, str) or not value.strip()):
            self._refuse(f"{name} is {value!r}, not text")
        return value

    def _hooks(self, name: str) -> tuple[Hook, ...]:
        given = self.options[name]
        return tuple(given) if isinstance(given, list | tuple) else (given,)

    def _checked(self, check: Callable[[Any], Any], value: Any) -> Any:
        try:
            return check(value)
        except JobsError as error:
            self._refuse(str(error).rstrip("."))

    def _refuse(self, reason: str, suggestion: str = "") -> NoReturn:
        place = f"{self.file}:{self.line} ({self.qualified_name})"
        raise InvalidTaskError(
            task_id=str(self.task_id), place=place, reason=reason, suggestion=suggestion
        )


def _hint(name: str) -> str:
    """Where an option belongs that tasks do not have."""
    if name in TriggerOptions.__annotations__:
        return f" Each run has its own: say it at the trigger, task.trigger(payload, {name}=…)."
    if name in Queue.__dataclass_fields__:
        return f' It is said of a queue: @task(queue=Queue("…", {name}=…)).'
    return did_you_mean(close_matches(name, OPTIONS))
