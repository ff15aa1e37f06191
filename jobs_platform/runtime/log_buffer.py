"""Log lines between a run and the database: batched, in order, never in the way."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from jobs_platform.domain.errors import DatabaseUnavailableError
from jobs_platform.engine.line import Line
from jobs_platform.engine.log import LogEntry, write_log_lines

BATCH = 500
MOST = 100_000
"""Kept while the database is away; the oldest go first."""

_log = logging.getLogger(__name__)


class LogBuffer:
    """Lines of all runs of this process. Whoever writes them holds the buffer meanwhile, so the
    lines of a run stay in their order over several connections."""

    def __init__(self) -> None:
        self._entries: deque[LogEntry] = deque(maxlen=MOST)
        self._writing = threading.Lock()

    def add(self, entry: LogEntry) -> None:
        self._entries.append(entry)

    @property
    def is_idle(self) -> bool:
        """Nothing is waiting and nobody is writing."""
        return not self._entries and not self._writing.locked()

    @contextmanager
    def taken(self) -> Iterator[list[LogEntry]]:
        """The waiting lines, for one write; kept when it fails for want of a database."""
        if self.is_idle:
            yield []
            return
        with self._writing:
            entries = [self._entries.popleft() for _ in range(len(self._entries))]
            try:
                yield entries
            except DatabaseUnavailableError:
                self._entries.extendleft(reversed(entries))
                raise

    def flush(self, line: Line, *, environment_id: int) -> None:
        """Write what is waiting."""
        with self.taken() as entries:
            for start in range(0, len(entries), BATCH):
                batch = entries[start : start + BATCH]
                try:
                    write_log_lines(line, batch, environment_id=environment_id)
                except psycopg.DataError:
                    _log.exception("%s log lines could not be stored.", len(batch))
