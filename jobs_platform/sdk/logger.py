"""`logger`: lines that a run writes about itself, with fields. Never fails the run.

Outside a run the lines go to `logging`, to the logger `jobs_platform.tasks`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from jobs_platform.domain.errors import DataError
from jobs_platform.domain.payloads import make_storable, to_json
from jobs_platform.sdk.context import current_run

MAX_MESSAGE_LENGTH = 131_072
RANKS = {"debug": 10, "log": 20, "info": 20, "warn": 30, "error": 40}
"""The order of levels, in the numbers of `logging`."""

SOURCE = "logger"

_outside = logging.getLogger("jobs_platform.tasks")


class Logger:
    """Writes lines into the log of the run that executes here."""

    __slots__ = ()

    def debug(
        self, message: object, fields: Mapping[str, Any] | None = None, /, **more: Any
    ) -> None:
        write("debug", message, fields, more)

    def log(self, message: object, fields: Mapping[str, Any] | None = None, /, **more: Any) -> None:
        write("log", message, fields, more)

    def info(
        self, message: object, fields: Mapping[str, Any] | None = None, /, **more: Any
    ) -> None:
        write("info", message, fields, more)

    def warn(
        self, message: object, fields: Mapping[str, Any] | None = None, /, **more: Any
    ) -> None:
        write("warn", message, fields, more)

    def error(
        self, message: object, fields: Mapping[str, Any] | None = None, /, **more: Any
    ) -> None:
        write("error", message, fields, more)

    warning = warn

    @contextmanager
    def trace(
        self, name: str, fields: Mapping[str, Any] | None = None, /, **more: Any
    ) -> Iterator[None]:
        """Log the start and the end of a block, with its duration and whether it raised."""
        given = {**(fields or {}), **more}
        started = time.monotonic()
        write("info", f"{name} started", given, {"trace": name})
        outcome: dict[str, Any] = {"ok": True}
        try:
            yield
        except BaseException as error:
            outcome = {"ok": False, "error": type(error).__name__}
            raise
        finally:
            duration_ms = round((time.monotonic() - started) * 1000, 3)
            end = {"trace": name, "duration_ms": duration_ms, **outcome}
            word = "finished" if outcome["ok"] else "failed"
            write("info" if outcome["ok"] else "error", f"{name} {word}", given, end)


logger = Logger()


def write(
    level: str, message: object, fields: Mapping[str, Any] | None, more: Mapping[str, Any]
) -> None:
    """Hand one line to the run that executes here, or to `logging` outside one."""
    active = current_run.get()
    given = {**fields, **more} if fields else more
    if active is None:
        shown = f"{message} {fields_text(given)}" if given else str(message)
        _outside.log(RANKS[level], "%s", shown)
    elif RANKS[level] >= active.log_level:
        active.log.add(level, str(message), fields_text(given) if given else None, SOURCE)


def fields_text(fields: Mapping[str, Any]) -> str:
    """JSON of the fields; what is not JSON is shown by its `repr`."""
    plain = {make_storable(str(key)): value for key, value in fields.items()}
    try:
        return to_json(plain, what="metadata")
    except DataError:
        shown = {key: _shown(value) for key, value in plain.items()}
    try:
        return to_json(shown, what="metadata")
    except DataError:
        return to_json({"omitted": f"{len(shown)} fields, too large together"})


def _shown(value: Any) -> Any:
    try:
        text = to_json(value, what="metadata", limit_bytes=MAX_MESSAGE_LENGTH)
    except DataError:
        return make_storable(_described(value), limit=MAX_MESSAGE_LENGTH // 8)
    return value if text else None


def _described(value: Any) -> str:
    try:
        return repr(value)
    except Exception as error:  # noqa: BLE001 - somebody else's __repr__ may raise anything
        return f"<{type(value).__name__} whose repr raised {type(error).__name__}>"
