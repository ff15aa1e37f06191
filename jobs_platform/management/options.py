"""Options that several commands share, and how they become arguments of the SDK."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from jobs_platform.domain.durations import to_seconds
from jobs_platform.domain.errors import InvalidDurationError
from jobs_platform.management import payload_argument
from jobs_platform.management.jobs_command import UsageError

_TRIGGER_OPTIONS = (
    "queue", "tags", "priority", "max_attempts", "machine", "metadata", "environment", "version",
)  # fmt: skip


def add_trigger_options(parser: CommandParser) -> None:
    """What a trigger takes beside its payload."""
    group = parser.add_argument_group("the run")
    group.add_argument("--queue", help="another queue than the task's own")
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
    named = {name: given[name] for name in _TRIGGER_OPTIONS if given[name] is not None}
    return named | ({"test": True} if options["test"] else {})


def seconds(text: str | None, *, option: str) -> float | None:
    """A duration, or a bare number of seconds."""
    if text is None:
        return None
    try:
        return to_seconds(float(text) if _is_number(text) else text, name=f"--{option}")
    except InvalidDurationError as error:
        raise UsageError(str(error), code=error.code) from error


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
