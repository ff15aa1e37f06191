"""What one attempt writes, as log entries: bounded, storable, partial lines joined."""

from __future__ import annotations

from collections.abc import Callable

from jobs_platform.domain.clock import utc_now
from jobs_platform.domain.payloads import make_storable
from jobs_platform.engine.log import LogEntry
from jobs_platform.sdk.context import ClaimedFacts
from jobs_platform.sdk.logger import MAX_MESSAGE_LENGTH

MAX_CHARACTERS = 16 * 1024 * 1024
"""Of all messages of an attempt together."""
OUTPUT_LEVELS = {"stdout": "log", "stderr": "error"}

Sink = Callable[[LogEntry], None]


class AttemptLog:
    """The log of one attempt. After `close` it takes nothing more."""

    __slots__ = (
        "_characters",
        "_dropped",
        "_facts",
        "_is_closed",
        "_last_id",
        "_lines",
        "_partial",
        "_sink",
    )

    def __init__(self, facts: ClaimedFacts, sink: Sink, *, limit: int) -> None:
        self._facts = facts
        self._sink = sink
        self._lines = limit
        self._characters = MAX_CHARACTERS
        self._dropped = 0
        self._last_id = 0
        self._partial: dict[str, str] | None = None
        self._is_closed = False

    def add(self, level: str, message: str, fields: str | None, source: str) -> None:
        """Keep one line, or count it as dropped when the attempt has written too much."""
        if self._is_closed:
            return
        size = len(message) + (len(fields) if fields else 0)
        if self._lines <= 0 or self._characters <= 0:
            self._dropped += 1
            return
        self._lines -= 1
        self._characters -= min(size, MAX_MESSAGE_LENGTH)
        self._send(level, make_storable(message, limit=MAX_MESSAGE_LENGTH), fields, source)

    def feed(self, text: str, source: str) -> None:
        """Take a piece of output; whole lines become log lines, the rest waits for its end."""
        if self._is_closed:
            return
        if self._partial is None:
            self._partial = {}
        pending = self._partial.get(source, "") + text
        *lines, rest = pending.split("\n")
        level = OUTPUT_LEVELS[source]
        for line in lines:
            if line.strip():
                self.add(level, line.rstrip("\r"), None, source)
        if len(rest) > MAX_MESSAGE_LENGTH:
            self.add(level, rest, None, source)
            rest = ""
        self._partial[source] = rest

    def close(self) -> None:
        """The attempt is over: let out unfinished lines, and say how much was dropped."""
        for source, rest in (self._partial or {}).items():
            if rest.strip():
                self.add(OUTPUT_LEVELS[source], rest.rstrip("\r"), None, source)
        self._is_closed = True
        if self._dropped:
            message = f"{self._dropped:,} more lines were dropped: an attempt keeps a limited log."
            self._send("warn", message, None, "logger")

    def _send(self, level: str, message: str, fields: str | None, source: str) -> None:
        at = utc_now()
        self._last_id = max(self._last_id + 1, int(at.timestamp() * 1e6))
        entry = LogEntry(
            id=self._last_id,
            run_id=self._facts.id,
            attempt_number=self._facts.attempt_number,
            at=at,
            level=level,
            message=message,
            fields=fields,
            source=source,
        )
        self._sink(entry)
