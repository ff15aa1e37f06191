"""What the functions of the test tasks did, told by themselves: a line of JSON for each fact.

Every attempt holds a lock of its run while it executes. The kernel takes it from a dead process
at once, so whoever finds it taken has met a second live attempt.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

FOLDER = "E2E_FOLDER"
FILE, LOCKS = "journal", "locks"


@dataclass(frozen=True, slots=True)
class Entry:
    """One fact."""

    what: str
    run: str
    attempt: int
    pid: int
    at: float
    """Of the monotonic clock, which all processes share."""
    detail: Any


def note(what: str, run: str = "", attempt: int = 0, detail: Any = None) -> None:
    """Add a line; from any process, whole or not at all."""
    line = json.dumps([what, run, attempt, os.getpid(), monotonic(), detail]) + "\n"
    file = os.open(_folder() / FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(file, line.encode())
    finally:
        os.close(file)


@contextmanager
def live(run: str, attempt: int) -> Iterator[None]:
    """Around the work of an attempt: notes its start, its end, and whether another one is live."""
    lock = os.open(_folder() / LOCKS / run, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            note("second live attempt", run, attempt)
        note("start", run, attempt)
        try:
            yield
        except BaseException as error:
            note("left", run, attempt, type(error).__name__)
            raise
        note("end", run, attempt)
    finally:
        os.close(lock)


class Journal:
    """The test's view on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / LOCKS).mkdir()
        (folder / FILE).touch()

    def entries(self, what: str | None = None, *, run: str | None = None) -> list[Entry]:
        lines = (self.folder / FILE).read_text("utf-8").splitlines()
        found = [Entry(*json.loads(line)) for line in lines]
        return [
            entry
            for entry in found
            if (what is None or entry.what == what) and (run is None or entry.run == run)
        ]

    def count(self, what: str) -> Counter[str]:
        """How often each run noted this."""
        return Counter(entry.run for entry in self.entries(what))


def _folder() -> Path:
    return Path(os.environ[FOLDER])
