"""How runs look on a terminal: tables, single lines, the live line, the end."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from rich.spinner import Spinner
from rich.text import Text

from jobs_platform.domain.durations import to_text
from jobs_platform.domain.lifecycle import MOVES, Status
from jobs_platform.management.follow import News, follow
from jobs_platform.management.terminal import Terminal, local_time, printable, shorten
from jobs_platform.sdk.handles import run_uuid
from jobs_platform.sdk.ports import engine
from jobs_platform.sdk.values import Attempt, Event, LogLine, Run, RunError

STYLES = {
    Status.DELAYED: "dim",
    Status.QUEUED: "cyan",
    Status.EXECUTING: "blue",
    Status.WAITING: "yellow",
    Status.COMPLETED: "green",
    Status.CANCELED: "dim",
}
_FAILED = "red"
_LEVELS = {"debug": "dim", "warn": "yellow", "error": "red"}
_SECOND, _MINUTE = 1_000, 60_000
COLUMNS = ("RUN", "TASK", "STATUS", "TRY", "CREATED", "TOOK", "QUEUE", "TAGS")


def status_text(status: Status) -> Text:
    return Text(str(status), style=STYLES.get(status, _FAILED))


def table_row(run: Run) -> Sequence[object]:
    """The cells of `COLUMNS`."""
    return (
        run.id,
        run.task_id,
        status_text(run.status),
        f"{run.attempt_number}/{run.max_attempts}",
        local_time(run.created_at),
        took(run.duration_ms),
        run.queue,
        " ".join(run.tags),
    )


def took(milliseconds: float | None) -> str:
    """A duration for people: 31ms, 2.5s, 1h5m."""
    if milliseconds is None:
        return ""
    if milliseconds < _SECOND:
        return f"{milliseconds:.0f}ms"
    if milliseconds < _MINUTE:
        return f"{milliseconds / _SECOND:.1f}s"
    return to_text(round(milliseconds / _SECOND))


def event_line(event: Event) -> Text:
    """One move: when, what, and what belongs to it."""
    move = MOVES.get(event.name)
    style = STYLES.get(move.target, _FAILED) if move else ""
    words = move.announces if move else event.name
    details = _fields({name: value for name, value in event.data.items() if value})
    return Text.assemble(_clock(event.at), ("● ", style), (words, style), (details, "dim"))


def log_line(line: LogLine) -> Text:
    """One line that a run wrote."""
    style = _LEVELS.get(line.level, "")
    level = line.level if line.source == "logger" else line.source
    return Text.assemble(
        _clock(line.at),
        (f"{level.ljust(7)} ", style or "dim"),
        (printable(line.message), style),
        (_fields(line.fields), "dim"),
    )


def entry_line(entry: Event | LogLine) -> Text:
    return event_line(entry) if isinstance(entry, Event) else log_line(entry)


def entry_json(entry: Event | LogLine) -> dict[str, Any]:
    """A line of `--watch --json`: `type` says which of the two it is."""
    if isinstance(entry, Event):
        return {
            "type": "event",
            "version": entry.version,
            "name": entry.name,
            "at": entry.at,
            "data": entry.data,
        }
    return {
        "type": "log",
        "id": entry.id,
        "at": entry.at,
        "level": entry.level,
        "message": entry.message,
        "fields": entry.fields,
        "attempt_number": entry.attempt_number,
        "source": entry.source,
    }


def attempt_row(attempt: Attempt) -> Sequence[object]:
    milliseconds = (attempt.finished_at - attempt.started_at).total_seconds() * 1000
    error = f"{attempt.error.name}: {attempt.error.message}" if attempt.error else ""
    return (
        attempt.number,
        status_text(attempt.status),
        local_time(attempt.started_at),
        took(milliseconds),
        attempt.worker or "",
        shorten(error),
    )


def watch_run(terminal: Terminal, run_id: str, *, timeout: float | None = None) -> Run:
    """Show moves and log lines as they come; return the run when it is final."""
    uuid = run_uuid(run_id)
    spinner = Spinner("dots")
    with terminal.live() as live:
        for news in follow(uuid, timeout=timeout):
            for entry in news.entries:
                terminal.say(entry_line(entry))
                terminal.emit(entry_json(entry))
            if live is not None:
                spinner.update(text=_live_line(run_id, news))
                live.update(spinner)
    return engine().retrieve(uuid)


def show_result(terminal: Terminal, run: Run) -> None:
    """The output, or why there is none."""
    if run.status is Status.COMPLETED:
        terminal.value(run.output)
        return
    error = run.error or RunError(str(run.status), "no reason was recorded")
    if error.traceback:
        terminal.note(error.traceback.rstrip())
    message = f"{run.id} ended as {run.status}: {error.name}: {error.message}"
    terminal.error("run_failed", message)


def _live_line(run_id: str, news: News) -> Text:
    return Text.assemble(status_text(news.status), (f"  {run_id}", "dim"))


def _clock(at: datetime) -> tuple[str, str]:
    return f"{at.astimezone():%H:%M:%S}.{at.microsecond // 1000:03d}  ", "dim"


def _fields(fields: dict[str, Any]) -> str:
    parts = [f"{name}={_compact(value)}" for name, value in fields.items()]
    return printable(f"  {' '.join(parts)}") if parts else ""


def _compact(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
