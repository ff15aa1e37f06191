"""The items of `batch_trigger`: a file of JSON lines, read one line at a time.

A line is a payload, whatever it looks like; only when options are asked for it is an object with
`payload` and `options`. So no payload can be taken for something else.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from jobs_platform.management.jobs_command import CommandFailure, UsageError
from jobs_platform.management.payload_argument import parse

LONGEST_LINE_BYTES = 32_000_000
_KEYS = frozenset({"payload", "options"})


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the file."""

    line: int
    payload: Any
    options: dict[str, Any]


@contextmanager
def opened(name: str) -> Iterator[IO[bytes]]:
    """The file, or standard input for `-`."""
    if name == "-":
        yield sys.stdin.buffer
        return
    with _open(name) as file:
        yield file


def read_items(file: IO[bytes], *, has_options: bool) -> Iterator[Item]:
    """Items with their line numbers; empty lines are passed over.

    `CommandFailure` names the line that is wrong.
    """
    number = 0
    while raw := file.readline(LONGEST_LINE_BYTES + 1):
        number += 1
        if len(raw) > LONGEST_LINE_BYTES:
            raise _refusal(number, f"is longer than {LONGEST_LINE_BYTES:,} bytes")
        try:
            text = raw.decode("utf-8-sig" if number == 1 else "utf-8").strip()
        except UnicodeDecodeError as error:
            raise _refusal(number, f"is not UTF-8 text (byte {error.start})") from error
        if text:
            yield _item(number, text, has_options=has_options)


def _open(name: str) -> IO[bytes]:
    try:
        return Path(name).open("rb")
    except OSError as error:
        message = f"--items {name}: {error.strerror or error}."
        raise UsageError(message, code="file_unreadable") from error


def _item(number: int, text: str, *, has_options: bool) -> Item:
    try:
        value = parse(text, source=f"Line {number}", is_line=True)
    except UsageError as error:
        raise CommandFailure("item_invalid", error.message) from error
    if not has_options:
        return Item(number, value, {})
    if not isinstance(value, dict) or not value.keys() <= _KEYS or "payload" not in value:
        expected = '{"payload": …, "options": {…}}'
        raise _refusal(number, f"is not an object of the form {expected}, as --with-options wants")
    options = value.get("options") or {}
    if not isinstance(options, dict):
        raise _refusal(number, "has options that are not an object")
    return Item(number, value["payload"], options)


def _refusal(number: int, reason: str) -> CommandFailure:
    return CommandFailure("item_invalid", f"Line {number} {reason}.")
