"""The options of a trigger: names, checks, and how they become a request. Sends nothing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn, TypedDict, cast

from jobs_platform.domain.configuration import DEFAULT_WORKER_QUEUE, Configuration
from jobs_platform.domain.durations import Duration, to_seconds
from jobs_platform.domain.errors import InvalidOptionError, close_matches, did_you_mean
from jobs_platform.domain.payloads import to_json
from jobs_platform.domain.retrying import check_max_attempts
from jobs_platform.domain.tags import check_tags
from jobs_platform.sdk import ports
from jobs_platform.sdk.context import current_run
from jobs_platform.sdk.debounce import Debounce
from jobs_platform.sdk.idempotency import DEFAULT_TTL_SECONDS, AnyKey, scoped
from jobs_platform.sdk.ports import KeyClaim, TriggerRequest
from jobs_platform.sdk.queue import Queue, queue_name
from jobs_platform.sdk.texts import check_text
from jobs_platform.sdk.timing import Delay, check_delay, check_max_duration, check_ttl

MAX_PRIORITY_SECONDS = 31_536_000
MAX_SLUG_LENGTH = 64
MAX_VERSION_LENGTH = 128

MAX_CONCURRENCY_KEYS = 10
MAX_CONCURRENCY_KEY_LENGTH = 512
MAX_RATE_WEIGHT = 32_767
MIN_KEY_TTL_SECONDS = 0.001

_NOT_WITH_DEBOUNCE = {
    "delay": "cannot be together with debounce, which has a delay of its own",
    "idempotency_key": (
        "cannot be together with debounce: with the key a second trigger changes nothing,"
        " with debounce it pushes the run back; choose one"
    ),
}


class TriggerOptions(TypedDict, total=False):
    """What every trigger takes beside the payload."""

    queue: Queue | str | None
    delay: Duration | datetime | None
    """A time from now on, or an aware datetime; an instant that is past means now."""
    ttl: Duration | None
    """It expires unless it was started so long after it was queued (a delay comes before)."""
    max_duration: Duration | None
    """Active time that an attempt may use."""
    idempotency_key: AnyKey | None
    idempotency_key_ttl: Duration | None
    """How long the key keeps a second run from being made; 30 days."""
    concurrency_key: str | Sequence[str] | None
    """Runs of a queue with one key take turns; of several keys all must have room."""
    rate_weight: int | None
    """How many starts it counts for in the rate limit of its queue."""
    debounce: Debounce | None
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
    queue_limits: Queue | None = None
    """The task's queue, where its code says more of it than the name."""
    ttl_seconds: float | None = None
    max_duration_seconds: float | None = None


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
    _check_together(given)
    queue = given.get("queue")
    limits = _queue_limits(queue, defaults)
    delay = _delay(given.get("delay"))
    keys = check_concurrency_keys(given.get("concurrency_key"))
    weight = _rate_weight(given.get("rate_weight"))
    _check_against(limits, keys, weight)
    machine = check_machine(given.get("machine")) or defaults.machine or configuration.machine
    attempts = _max_attempts(given.get("max_attempts"))
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
        delay_seconds=delay.seconds,
        delay_until=delay.until,
        ttl_seconds=(
            check_ttl(given.get("ttl")) or defaults.ttl_seconds or configuration.ttl_seconds or None
        ),
        max_duration_seconds=_max_duration(given, defaults, configuration),
        concurrency_keys=keys,
        rate_weight=weight,
        idempotency=_key_claim(given),
        debounce=_debounce(given.get("debounce")),
        queue_limits=limits,
        names_queue=given.get("queue") is not None,
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
    """Refuse options that do not exist."""
    for name, value in options.items():
        if name in TriggerOptions.__annotations__:
            continue
        hint = did_you_mean(close_matches(name, TriggerOptions.__annotations__))
        raise InvalidOptionError(option=name, value=value, reason="is unknown", suggestion=hint)


def refuse_in_batch(options: Mapping[str, Any]) -> None:
    """Refuse what only a single trigger may say."""
    if options.get("debounce") is not None:
        reason = "cannot be in a batch: its items are triggered at one moment; trigger them singly"
        _refuse("debounce", options["debounce"], reason)


def check_concurrency_keys(keys: str | Sequence[str] | None) -> tuple[str, ...]:
    """The keys without repetitions, in order; one text is one key."""
    if keys is None:
        return ()
    if isinstance(keys, str):
        keys = (keys,)
    elif not isinstance(keys, list | tuple):
        reason = "is neither text nor a list of texts; str(…) makes a key of a number"
        _refuse("concurrency_key", keys, reason)
    elif not keys:
        _refuse("concurrency_key", keys, "is empty; leave it out where there is no key")
    limit = MAX_CONCURRENCY_KEY_LENGTH
    unique = tuple(dict.fromkeys(check_text("concurrency_key", key, limit=limit) for key in keys))
    if len(unique) > MAX_CONCURRENCY_KEYS:
        _refuse("concurrency_key", keys, f"has more than {MAX_CONCURRENCY_KEYS} keys")
    return unique


def check_machine(machine: str | None) -> str | None:
    """`machine` when it is a preset or the project's own, or None."""
    known = ports.configuration().machines
    if machine is None or machine in known:
        return machine
    hint = did_you_mean(close_matches(str(machine), known))
    reason = f"is not one of {', '.join(known)}"
    raise InvalidOptionError(option="machine", value=machine, reason=reason, suggestion=hint)


def _ancestors(environment: str | None) -> tuple[Any, Any]:
    """Parent and root, for a trigger inside a run of the same environment."""
    active = current_run.get()
    if active is None or active.is_local or environment != active.facts.environment:
        return None, None
    return active.facts.id, active.facts.root_id or active.facts.id


def _queue_limits(queue: Queue | str | None, defaults: TaskDefaults) -> Queue | None:
    """What is said of the queue here, or by the task of a queue of that name."""
    own = defaults.queue_limits
    if queue is None:
        return own
    if isinstance(queue, Queue) and queue.has_limits:
        return queue
    return own if own is not None and own.name == queue_name(queue) else None


def _check_together(given: TriggerOptions) -> None:
    """Refuse options that contradict each other."""
    if given.get("debounce") is not None:
        for option, reason in _NOT_WITH_DEBOUNCE.items():
            if given.get(option) is not None:
                _refuse(option, given.get(option), reason)
    if given.get("idempotency_key_ttl") is not None and given.get("idempotency_key") is None:
        reason = "has no meaning without an idempotency_key"
        _refuse("idempotency_key_ttl", given["idempotency_key_ttl"], reason)


def _check_against(queue: Queue | None, keys: tuple[str, ...], weight: int) -> None:
    """Refuse what the queue could never take."""
    if queue is None:
        return
    if len(keys) > 1 and queue.on_conflict != "wait":
        reason = f"has several keys, but queue {queue.name!r} has on_conflict={queue.on_conflict!r}"
        _refuse("concurrency_key", keys, f"{reason}, which takes one; pass one, or let it wait")
    if queue.rate_limit and weight > queue.rate_limit.limit:
        reason = f"is more than the rate limit {queue.rate_limit.limit} of queue {queue.name!r}"
        _refuse("rate_weight", weight, f"{reason}: the run could never start")


def _key_claim(given: TriggerOptions) -> KeyClaim | None:
    if given.get("idempotency_key") is None:
        return None
    key = scoped(cast("AnyKey", given["idempotency_key"]))
    ttl, ttl_seconds = given.get("idempotency_key_ttl"), DEFAULT_TTL_SECONDS
    if ttl is not None:
        ttl_seconds = to_seconds(ttl, name="idempotency_key_ttl", minimum=MIN_KEY_TTL_SECONDS)
    return KeyClaim(key.shown, key.held, ttl_seconds)


def _max_attempts(attempts: int | None) -> int | None:
    return None if attempts is None else check_max_attempts(attempts)


def _max_duration(
    given: TriggerOptions, defaults: TaskDefaults, configuration: Configuration
) -> float | None:
    own = check_max_duration(given.get("max_duration"))
    return own or defaults.max_duration_seconds or configuration.max_duration_seconds


def _delay(delay: Duration | datetime | None) -> Delay:
    return Delay() if delay is None else check_delay(delay)


def _debounce(debounce: Debounce | None) -> Debounce | None:
    if debounce is not None and not isinstance(debounce, Debounce):
        _refuse("debounce", debounce, 'is not a Debounce(key, delay), such as Debounce("u7", "5s")')
    return debounce


def _rate_weight(weight: int | None) -> int:
    if weight is None:
        return 1
    wrong = isinstance(weight, bool) or not isinstance(weight, int)
    if wrong or not 0 < weight <= MAX_RATE_WEIGHT:
        _refuse("rate_weight", weight, f"is not a whole number from 1 to {MAX_RATE_WEIGHT:,}")
    return weight


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
