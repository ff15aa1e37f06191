"""Log lines between a run and the database: batched, in order, never in the way."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from jobs_platform.engine.line import Line
from jobs_platform.engine.log import LogEntry, write_log_lines

BATCH = 500
MOST = 100_000
"""Kept while the database is away; the oldest go first."""


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
        """The waiting lines, for one write; what is still in the list is kept when it fails."""
        if self.is_idle:
            yield []
            return
        with self._writing:
            entries = [self._entries.popleft() for _ in range(len(self._entries))]
            try:
                yield entries
            except BaseException:
                room = max(0, MOST - len(self._entries))
                self._entries.extendleft(reversed(entries[max(0, len(entries) - room) :]))
                raise

    def flush(self, line: Line, *, environment_id: int) -> None:
        """Write what is waiting."""
        with self.taken() as entries:
            while entries:
                write_log_lines(line, entries[:BATCH], environment_id=environment_id)
                del entries[:BATCH]
