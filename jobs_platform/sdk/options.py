"""The options of a trigger: names, checks, and how they become a request. Sends nothing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, TypedDict, cast

from jobs_platform.domain.configuration import DEFAULT_WORKER_QUEUE, MACHINES, Configuration
from jobs_platform.domain.errors import InvalidOptionError, close_matches, did_you_mean
from jobs_platform.domain.payloads import to_json
from jobs_platform.domain.retrying import check_max_attempts
from jobs_platform.domain.tags import check_tags
from jobs_platform.sdk.context import current_run
from jobs_platform.sdk.ports import TriggerRequest
from jobs_platform.sdk.queue import Queue, queue_name

MAX_PRIORITY_SECONDS = 31_536_000
MAX_SLUG_LENGTH = 64
MAX_VERSION_LENGTH = 128

LATER = frozenset(
    {
        "concurrency_key",
        "debounce",
        "delay",
        "idempotency_key",
        "idempotency_key_ttl",
        "max_duration",
        "ttl",
    }
)
"""Known, but refused until they do something: an option is never ignored silently."""


class TriggerOptions(TypedDict, total=False):
    """What every trigger takes beside the payload."""

    queue: Queue | str | None
    tags: str | Iterable[str] | None
    priority: float
    """Seconds by which the run goes before others of its queue; negative lets others pass."""
    metadata: Mapping[str, Any] | None
    max_attempts: int | None
    machine: str | None
    test: bool
    environment: str | None
    version: str | None


@dataclass(frozen=True, slots=True)
class TaskDefaults:
    """What a task says about its runs; an option of the trigger wins over it."""

    queue: str
    machine: str | None
    max_attempts: int | None
    version: str | None


def request(
    task_id: str,
    *,
    payload: str,
    defaults: TaskDefaults,
    options: Mapping[str, Any],
    configuration: Configuration,
) -> TriggerRequest:
    """The checked request of one trigger; `payload` is JSON text that was validated before."""
    check_names(options)
    given = cast("TriggerOptions", options)
    queue = given.get("queue")
    machine = check_machine(given.get("machine")) or defaults.machine or configuration.machine
    attempts = given.get("max_attempts")
    if attempts is not None:
        check_max_attempts(attempts)
    parent_id, root_id = _ancestors(environment_of(options))
    return TriggerRequest(
        task_id=task_id,
        payload=payload,
        queue=defaults.queue if queue is None else queue_name(queue),
        worker_queue=machine or DEFAULT_WORKER_QUEUE,
        max_attempts=attempts or defaults.max_attempts or configuration.retries.max_attempts,
        priority_seconds=_priority(given.get("priority", 0.0)),
        tags=check_tags(given.get("tags")),
        metadata=_metadata(given.get("metadata")),
        is_test=_flag("test", given.get("test", False)),
        task_version=check_version(given.get("version")) or defaults.version,
        parent_id=parent_id,
        root_id=root_id,
    )


def environment_of(options: Mapping[str, Any]) -> str | None:
    """The environment a trigger goes to: the option, else that of the run it is made in."""
    slug = options.get("environment")
    if slug is None:
        active = current_run.get()
        return active.facts.environment if active else None
    allowed = isinstance(slug, str) and 0 < len(slug) <= MAX_SLUG_LENGTH and slug.isascii()
    if not allowed or not all(letter.isalnum() or letter in "-_" for letter in slug):
        _refuse("environment", slug, f"is not 1 to {MAX_SLUG_LENGTH} letters, digits, - or _")
    return str(slug)


def check_names(options: Mapping[str, Any]) -> None:
    """Refuse options that do not exist, or not yet."""
    for name, value in options.items():
        if name in TriggerOptions.__annotations__:
            continue
        if name in LATER:
            _refuse(name, value, "is not available yet")
        known = [*TriggerOptions.__annotations__, *LATER]
        hint = did_you_mean(close_matches(name, known))
        raise InvalidOptionError(option=name, value=value, reason="is unknown", suggestion=hint)


def check_machine(machine: str | None) -> str | None:
    """`machine` when it is a preset, or None."""
    if machine is None or machine in MACHINES:
        return machine
    hint = did_you_mean(close_matches(str(machine), MACHINES))
    reason = f"is not one of {', '.join(MACHINES)}"
    raise InvalidOptionError(option="machine", value=machine, reason=reason, suggestion=hint)


def _ancestors(environment: str | None) -> tuple[Any, Any]:
    """Parent and root, for a trigger inside a run of the same environment."""
    active = current_run.get()
    if active is None or active.is_local or environment != active.facts.environment:
        return None, None
    return active.facts.id, active.facts.root_id or active.facts.id


def _priority(seconds: float) -> float:
    wrong = isinstance(seconds, bool) or not isinstance(seconds, int | float)
    if wrong or not math.isfinite(seconds):
        _refuse("priority", seconds, "is not a number of seconds")
    if abs(seconds) > MAX_PRIORITY_SECONDS:
        _refuse("priority", seconds, f"is not within ±{MAX_PRIORITY_SECONDS:,} seconds (a year)")
    return float(seconds)


def _metadata(metadata: Mapping[str, Any] | None) -> str | None:
    if metadata is None:
        return None
    if not isinstance(metadata, Mapping):
        _refuse("metadata", metadata, "is not a dict")
    return to_json(dict(metadata), what="metadata")


def _flag(option: str, value: bool) -> bool:
    if not isinstance(value, bool):
        _refuse(option, value, "is not True or False")
    return value


def check_version(version: str | None) -> str | None:
    """`version` when it can be stored."""
    if version is None:
        return None
    if not isinstance(version, str) or not 0 < len(version) <= MAX_VERSION_LENGTH:
        _refuse("version", version, f"is not text of 1 to {MAX_VERSION_LENGTH} characters")
    return version


def _refuse(option: str, value: Any, reason: str) -> NoReturn:
    raise InvalidOptionError(option=option, value=value, reason=reason)
