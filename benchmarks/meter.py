"""Who started which job when: pages of memory that jobs write and the benchmark reads.

The same for all contenders and no part of their stores: a tick costs a third of a microsecond.
Imported by every worker, so it needs nothing but the standard library.
"""

from __future__ import annotations

import mmap
import os
import struct
import time
from pathlib import Path
from typing import NamedTuple

FOLDER_VARIABLE = "BENCH_METER"
CAPACITY = 1_000_000
"""Jobs that one process can note; the file is sparse."""

_COUNT = struct.Struct("<q")
_RECORD = struct.Struct("<qd")
_HEADER_SIZE = 16


class Start(NamedTuple):
    """One start of a job; `at` is of the monotonic clock, which all processes share."""

    at: float
    number: int


class _Page:
    """What one process writes."""

    def __init__(self, process_id: int) -> None:
        self.process_id = process_id
        path = Path(os.environ[FOLDER_VARIABLE]) / str(process_id)
        with path.open("w+b") as file:
            file.truncate(_HEADER_SIZE + CAPACITY * _RECORD.size)
            self._memory = mmap.mmap(file.fileno(), 0)
        self._count = 0

    def note(self, number: int, at: float) -> None:
        _RECORD.pack_into(self._memory, _HEADER_SIZE + self._count * _RECORD.size, number, at)
        self._count += 1
        _COUNT.pack_into(self._memory, 0, self._count)


class _Mine:
    page: _Page | None = None


def tick(number: int) -> None:
    """Job `number` starts now, in this process."""
    page = _Mine.page
    if page is None or page.process_id != os.getpid():
        page = _Mine.page = _Page(os.getpid())
    page.note(number, time.monotonic())


class Meter:
    """The pages of all workers of one scene, for reading."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._pages: dict[Path, mmap.mmap] = {}

    @property
    def count(self) -> int:
        """Jobs that were started so far."""
        return sum(_COUNT.unpack_from(page, 0)[0] for page in self._open())

    def starts(self) -> list[Start]:
        """All starts in their order."""
        found: list[Start] = []
        for page in self._open():
            end = _HEADER_SIZE + _COUNT.unpack_from(page, 0)[0] * _RECORD.size
            found += [Start(at, n) for n, at in _RECORD.iter_unpack(page[_HEADER_SIZE:end])]
        return sorted(found)

    def _open(self) -> list[mmap.mmap]:
        for path in self.folder.iterdir():
            if path not in self._pages and path.stat().st_size:
                with path.open("rb") as file:
                    self._pages[path] = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return list(self._pages.values())
