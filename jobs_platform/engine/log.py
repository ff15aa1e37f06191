"""Log lines on their way into the database."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg

from jobs_platform.domain.ids import encode
from jobs_platform.engine.line import Line

UNSTORABLE = (
    psycopg.DataError,
    psycopg.IntegrityError,
    psycopg.errors.ProgramLimitExceeded,
    psycopg.errors.StatementTooComplex,
    UnicodeEncodeError,
)
"""What the database, or the way to it, says about a value that it cannot keep."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One line that a run wrote, storable as it is."""

    id: int
    """Ascends within an attempt; with the run it tells whether the line is stored already."""
    run_id: UUID
    attempt_number: int
    at: datetime
    level: str
    message: str
    fields: str | None
    """JSON text of an object."""
    source: str
    """`logger`, `logging`, `stdout` or `stderr`."""


def write_log_lines(line: Line, entries: Sequence[LogEntry], *, environment_id: int) -> None:
    """Append lines in their order; one that the database refuses costs only itself."""
    if not entries:
        return
    try:
        line.execute("write_log_lines", log_params(entries, environment_id=environment_id))
    except UNSTORABLE as error:
        middle = len(entries) // 2
        if not middle:
            run_id = encode("run", entries[0].run_id)
            _log.warning("A log line of %s could not be stored: %s", run_id, error)
            return
        write_log_lines(line, entries[:middle], environment_id=environment_id)
        write_log_lines(line, entries[middle:], environment_id=environment_id)


def log_params(entries: Sequence[LogEntry], *, environment_id: int) -> dict[str, Any]:
    """The arrays of `write_log_lines.sql`."""
    return {
        "environment_id": environment_id,
        "ids": [entry.id for entry in entries],
        "run_ids": [entry.run_id for entry in entries],
        "attempt_numbers": [entry.attempt_number for entry in entries],
        "logged_at": [entry.at for entry in entries],
        "levels": [entry.level for entry in entries],
        "sources": [entry.source for entry in entries],
        "messages": [entry.message for entry in entries],
        "fields": [entry.fields for entry in entries],
    }
