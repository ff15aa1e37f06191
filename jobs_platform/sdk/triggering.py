"""Triggers: from a task (or its id), a payload and options to handles.

Checks everything before anything is written; writes through the engine's port only. In lists all
items are checked before the first is written; other iterables go in chunks, so what was written
before a bad item stays, unless the caller's transaction takes it back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol, runtime_checkable
from uuid import UUID

from jobs_platform.domain import ids
from jobs_platform.domain.errors import InvalidOptionError
from jobs_platform.sdk import options as trigger_options
from jobs_platform.sdk import ports
from jobs_platform.sdk.handles import BatchHandle, RunHandle, handle_of
from jobs_platform.sdk.options import TaskDefaults
from jobs_platform.sdk.ports import TriggerRequest
from jobs_platform.sdk.registry import registry

CHUNK = 1_000
"""Items that one statement writes."""


@runtime_checkable
class Triggerable(Protocol):
    """A task of this process, or one that only its stored definition is known of."""

    @property
    def id(self) -> str: ...
    @property
    def defaults(self) -> TaskDefaults: ...
    def dump_payload(self, payload: Any) -> str:
        """JSON text; a `PayloadError` when the payload does not fit."""
        ...


@dataclass(frozen=True, slots=True)
class _Item:
    """One thing to trigger."""

    task: Triggerable
    payload: Any
    options: Mapping[str, Any]


class BatchItem:
    """An item of a batch: `BatchItem(payload, **options)`."""

    __slots__ = ("options", "payload")

    def __init__(self, payload: Any = None, **options: Any) -> None:
        trigger_options.check_names(options)
        self.payload = payload
        self.options = options

    def __repr__(self) -> str:
        return f"BatchItem({self.payload!r}, {self.options!r})"


def trigger(task: Triggerable, payload: Any, options: Mapping[str, Any]) -> RunHandle:
    """Trigger one run."""
    request = _request(_Item(task, payload, options))
    environment = trigger_options.environment_of(options)
    return handle_of(ports.engine().trigger(request, environment=environment))


def trigger_items(
    task: Triggerable, items: Iterable[Any], defaults: Mapping[str, Any]
) -> BatchHandle:
    """Trigger a batch of one task; bare payloads are items too."""

    def read(item: Any) -> _Item:
        if isinstance(item, BatchItem):
            return _Item(task, item.payload, {**defaults, **item.options})
        return _Item(task, item, defaults)

    return _trigger_all(items, read, environment=trigger_options.environment_of(defaults))


def trigger_mixed(items: Iterable[Any], *, by_task: bool) -> BatchHandle:
    """Trigger a batch of several tasks, each item a tuple of task, payload and options."""

    def read(item: Any) -> _Item:
        target, payload, options = _parts(item)
        if by_task and not isinstance(target, Triggerable):
            reason = "does not begin with a task; batch.trigger takes ids"
            raise InvalidOptionError(option="items", value=item, reason=reason)
        task = target if isinstance(target, Triggerable) else registry.resolve(target)
        return _Item(task, payload, options)

    return _trigger_all(items, read, environment=trigger_options.environment_of({}))


def _trigger_all(
    items: Iterable[Any], read: Callable[[Any], _Item], *, environment: str | None
) -> BatchHandle:
    if isinstance(items, str | bytes | Mapping) or not isinstance(items, Iterable):
        reason = "is not a list of items"
        raise InvalidOptionError(option="items", value=items, reason=reason)
    is_sized = isinstance(items, list | tuple)
    requests = _requests(items, read, environment)
    if is_sized:
        requests = iter(list(requests))
    batch_id: UUID | None = None
    handles: list[RunHandle] = []
    while chunk := list(islice(requests, CHUNK)):
        batch_id, triggered = ports.engine().trigger_batch(
            chunk, environment=environment, batch_id=batch_id
        )
        handles += map(handle_of, triggered)
    if batch_id is None:
        reason = "has no item; skip the call when there is nothing to do"
        raise InvalidOptionError(option="items", value=items, reason=reason)
    return BatchHandle(ids.encode("batch", batch_id), tuple(handles))


def _requests(
    items: Iterable[Any], read: Callable[[Any], _Item], environment: str | None
) -> Iterator[TriggerRequest]:
    for index, item in enumerate(items):
        try:
            one = read(item)
            wanted = one.options.get("environment")
            if wanted is not None and wanted != environment:
                reason = "cannot differ between the items of a batch"
                raise InvalidOptionError(option="environment", value=wanted, reason=reason)
            trigger_options.refuse_in_batch(one.options)
            yield _request(one)
        except Exception as error:
            error.add_note(f"This was item {index} of the batch.")
            raise


def _request(item: _Item) -> TriggerRequest:
    return trigger_options.request(
        item.task.id,
        payload=item.task.dump_payload(item.payload),
        defaults=item.task.defaults,
        options=item.options,
        configuration=ports.configuration(),
    )


def _parts(item: Any) -> tuple[Any, Any, Mapping[str, Any]]:
    """Task, payload and options of an item of a mixed batch."""
    if not isinstance(item, tuple) or not 1 <= len(item) <= 3:
        reason = "has an item that is not (task, payload) or (task, payload, options)"
        raise InvalidOptionError(option="items", value=item, reason=reason)
    target = item[0]
    payload = item[1] if len(item) > 1 else None
    options = item[2] if len(item) > 2 else {}
    if not isinstance(options, Mapping):
        reason = "has options that are not a dict"
        raise InvalidOptionError(option="items", value=item, reason=reason)
    return target, payload, options
