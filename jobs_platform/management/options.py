"""Options that several commands share, and how they become arguments of the SDK."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from django.core.management.base import CommandParser

from jobs_platform.domain.durations import to_seconds
from jobs_platform.domain.errors import InvalidDurationError
from jobs_platform.management import payload_argument
from jobs_platform.management.jobs_command import UsageError
from jobs_platform.sdk.debounce import MODES, Debounce

_TRIGGER_OPTIONS = (
    "queue", "concurrency_key", "rate_weight", "idempotency_key", "tags", "priority",
    "max_attempts", "machine", "metadata", "environment", "version",
)  # fmt: skip
_DURATIONS = ("ttl", "idempotency_key_ttl", "max_duration")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


def add_trigger_options(parser: CommandParser) -> None:
    """What a trigger takes beside its payload."""
    _add_flow_options(parser)
    group = parser.add_argument_group("the run")
    group.add_argument(
        "--tag", action="append", dest="tags", metavar="TAG", help="may be given several times"
    )
    group.add_argument(
        "--priority", type=float, metavar="SECONDS", help="go before others by so much"
    )
    group.add_argument("--max-attempts", type=int, metavar="N")
    group.add_argument("--machine", help="a machine preset, such as small-2x")
    group.add_argument("--metadata", metavar="JSON", help=payload_argument.HELP)
    group.add_argument("--test", action="store_true", help="mark the run as a test")
    group.add_argument("--environment", metavar="SLUG", help="another than the configured one")
    group.add_argument(
        "--task-version", dest="version", metavar="VERSION", help="stored on the run"
    )


def trigger_options(options: dict[str, Any]) -> dict[str, Any]:
    """What was given, as keyword arguments of `tasks.trigger`."""
    metadata = payload_argument.read_json(options["metadata"], option="metadata")
    given = {**options, "metadata": metadata}
    given |= {name: seconds(options[name], option=_dashed(name)) for name in _DURATIONS}
    names = (*_TRIGGER_OPTIONS, *_DURATIONS)
    named = {name: given[name] for name in names if given[name] is not None}
    if options["delay"] is not None:
        named["delay"] = _delay(options["delay"])
    debounce = _debounce(options)
    if debounce is not None:
        named["debounce"] = debounce
    return named | ({"test": True} if options["test"] else {})


def seconds(text: str | None, *, option: str) -> float | None:
    """A duration, or a bare number of seconds."""
    if text is None:
        return None
    try:
        return to_seconds(float(text) if _is_number(text) else text, name=f"--{option}")
    except InvalidDurationError as error:
        raise UsageError(str(error), code=error.code) from error


def _add_flow_options(parser: CommandParser) -> None:
    """Where it lines up, and when it starts."""
    group = parser.add_argument_group("its queue and its time")
    group.add_argument("--queue", help="another queue than the task's own")
    group.add_argument(
        "--concurrency-key",
        action="append",
        metavar="KEY",
        help="runs of a queue with one key take turns; of several keys all must have room",
    )
    group.add_argument("--rate-weight", type=int, metavar="N", help="starts it counts for")
    group.add_argument(
        "--delay", metavar="DURATION", help="30s, or an instant as 2026-01-31T09:00Z"
    )
    group.add_argument("--ttl", metavar="DURATION", help="it expires unless it has started by then")
    group.add_argument("--max-duration", metavar="DURATION", help="that an attempt may use")
    group.add_argument("--idempotency-key", metavar="KEY", help="one run for each key of the task")
    group.add_argument("--idempotency-key-ttl", metavar="DURATION", help="of the key (30d)")
    group.add_argument(
        "--debounce-key", metavar="KEY", help="push the delayed run of this key back"
    )
    group.add_argument("--debounce-delay", metavar="DURATION", help="by so much")
    group.add_argument("--debounce-mode", choices=MODES, help="whose payload counts (trailing)")
    group.add_argument("--debounce-max-delay", metavar="DURATION", help="and no longer than this")


def _delay(text: str) -> float | datetime:
    if not _DATE.match(text):
        return seconds(text, option="delay") or 0.0
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        message = f"--delay {text}: not an instant such as 2026-01-31T09:00Z ({error})."
        raise UsageError(message, code="duration_invalid") from error
    return at if at.tzinfo else at.astimezone()


def _debounce(options: dict[str, Any]) -> Debounce | None:
    names = ("debounce_key", "debounce_delay", "debounce_mode", "debounce_max_delay")
    if all(options[name] is None for name in names):
        return None
    key, delay = options["debounce_key"], options["debounce_delay"]
    if key is None or delay is None:
        raise UsageError("A debounce needs both --debounce-key and --debounce-delay.")
    return Debounce(
        key,
        seconds(delay, option="debounce-delay") or 0.0,
        mode=options["debounce_mode"] or MODES[0],
        max_delay=seconds(options["debounce_max_delay"], option="debounce-max-delay"),
    )


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
