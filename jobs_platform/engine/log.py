"""Log lines on their way into the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from jobs_platform.engine.line import Line


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One line that a run wrote, storable as it is."""

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
    """Append lines in their order."""
    line.execute("write_log_lines", log_params(entries, environment_id=environment_id))


def log_params(entries: Sequence[LogEntry], *, environment_id: int) -> dict[str, Any]:
    """The arrays of `write_log_lines.sql`."""
    return {
        "environment_id": environment_id,
        "run_ids": [entry.run_id for entry in entries],
        "attempt_numbers": [entry.attempt_number for entry in entries],
        "logged_at": [entry.at for entry in entries],
        "levels": [entry.level for entry in entries],
        "sources": [entry.source for entry in entries],
        "messages": [entry.message for entry in entries],
        "fields": [entry.fields for entry in entries],
    }
