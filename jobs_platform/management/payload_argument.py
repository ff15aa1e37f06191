"""JSON given on the command line: as text, as `@FILE`, or as `-` for standard input."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from jobs_platform.management.jobs_command import UsageError

HELP = "JSON text, @FILE, or - for standard input"
_QUOTING = (
    'In a shell put single quotes around it, --{option} \'{{"name": "Ada"}}\', '
    "or write it to a file: --{option} @file.json."
)


def read_json(given: str | None, *, option: str) -> Any:
    """The value of `--OPTION`; None when it was not given. `UsageError` says where it is wrong."""
    if given is None:
        return None
    if given == "-":
        return parse(_decode(sys.stdin.buffer.read(), "standard input"), source="standard input")
    if given.startswith("@"):
        return parse(_read_file(given[1:], option), source=given[1:])
    return parse(given, source=f"--{option}", hint=_QUOTING.format(option=option))


def parse(text: str, *, source: str, hint: str = "", is_line: bool = False) -> Any:
    """JSON as a value; `UsageError` with line and column, of a single line the column only."""
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        line = f"line {error.lineno}, " if not is_line else ""
        place = f"{line}column {error.colno}"
        reason = f"{source} is not JSON: {error.msg} at {place}{_excerpt(text, error.pos)}."
    except _NotJsonError as error:
        reason = f"{source} is not JSON: {error} is a number that JSON does not have."
    except RecursionError:
        reason = f"{source} is nested too deeply to be read."
    raise UsageError(f"{reason} {hint}".strip(), code="json_invalid")


class _NotJsonError(ValueError):
    """A constant that Python's parser takes and JSON does not have."""


def _refuse_constant(name: str) -> Any:
    raise _NotJsonError(name)


def _excerpt(text: str, position: int) -> str:
    seen = text[position : position + 20].partition("\n")[0]
    return f", before {seen!r}" if seen else ", at its end"


def _read_file(name: str, option: str) -> str:
    if not name:
        raise UsageError(f"--{option} @ needs the name of a file: --{option} @payload.json.")
    try:
        return _decode(Path(name).read_bytes(), name)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageError(f"--{option} {name}: {reason}.", code="file_unreadable") from error


def _decode(data: bytes, source: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"{source} is not UTF-8 text (byte {error.start})."
        raise UsageError(message, code="json_invalid") from error
