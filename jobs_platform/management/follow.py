"""Follows a run by asking: its moves and log lines as they come, until it is final."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from jobs_platform.domain import ids
from jobs_platform.domain.errors import PollTimeoutError
from jobs_platform.domain.lifecycle import Status, is_final
from jobs_platform.sdk.ports import engine
from jobs_platform.sdk.values import Event, LogLine

SHORTEST_SECONDS = 0.1
LONGEST_SECONDS = 0.5
_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class News:
    """What one look has found, in the order in which it happened."""

    status: Status
    entries: tuple[Event | LogLine, ...]


def follow(run_id: UUID, *, timeout: float | None = None, has_logs: bool = True) -> Iterator[News]:
    """One `News` a look, also empty ones; the last has the final status.

    `PollTimeoutError` when `timeout` seconds pass first.
    """
    started = time.monotonic()
    version, last_line, pause = 0, 0, SHORTEST_SECONDS
    while True:
        status, current = engine().status_of(run_id)
        events = _events(run_id, after=version) if current != version else []
        lines = _lines(run_id, after=last_line) if has_logs else []
        version, last_line = current, lines[-1].id if lines else last_line
        entries = sorted([*events, *lines], key=lambda entry: entry.at)
        yield News(status, tuple(entries))
        if is_final(status):
            return
        left = None if timeout is None else timeout - (time.monotonic() - started)
        if left is not None and left <= 0:
            text = ids.encode("run", run_id)
            raise PollTimeoutError(id=text, status=str(status), seconds=timeout or 0.0)
        pause = SHORTEST_SECONDS if entries else min(pause * 1.5, LONGEST_SECONDS)
        time.sleep(pause if left is None else min(pause, left))


def _events(run_id: UUID, *, after: int) -> list[Event]:
    return [event for event in engine().events_of(run_id) if event.version > after]


def _lines(run_id: UUID, *, after: int) -> list[LogLine]:
    lines: list[LogLine] = []
    while True:
        page = engine().log_lines_of(run_id, after_id=lines[-1].id if lines else after, limit=_PAGE)
        lines += page
        if len(page) < _PAGE:
            return lines
