"""Where the output of child processes goes: to the terminal behind their names, or into files."""

from __future__ import annotations

import threading
from collections import deque
from pathlib import Path
from typing import IO

from rich.text import Text

from jobs_platform.management.terminal import Terminal

_COLORS = {"web": "cyan", "worker": "green", "beat": "magenta", "dev": "yellow"}
_OTHER_COLORS = ("green", "blue", "bright_green", "bright_blue")
_TAIL_LINES = 20
_LOG_LIMIT_BYTES = 10_000_000


class PrefixedLines:
    """Each line on the terminal, behind the name of its program."""

    def __init__(self, terminal: Terminal, *, names: tuple[str, ...]) -> None:
        self._terminal = terminal
        self._width = max(map(len, names), default=0)
        others = (name for name in names if name not in _COLORS)
        self._colors = _COLORS | {
            name: _OTHER_COLORS[index % len(_OTHER_COLORS)] for index, name in enumerate(others)
        }

    def write(self, name: str, line: str) -> None:
        prefix = (f"{name.ljust(self._width)} │ ", self._colors.get(name, ""))
        # A child may colour its own words; what else would steer the terminal is left out.
        self._terminal.show(Text.assemble(prefix, Text.from_ansi(line)))

    def tail(self, name: str) -> str:
        """Nothing: it was shown already."""
        return ""

    def close(self) -> None:
        """The terminal stays open."""


class LogFiles:
    """Each program's lines in `FOLDER/NAME.log`; a long file is put aside first."""

    def __init__(self, folder: Path, *, names: tuple[str, ...]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._files: dict[str, IO[str]] = {name: _open(folder / f"{name}.log") for name in names}
        self._tails: dict[str, deque[str]] = {name: deque(maxlen=_TAIL_LINES) for name in names}
        self._lock = threading.Lock()

    def write(self, name: str, line: str) -> None:
        with self._lock:
            if not self._files[name].closed:
                self._files[name].write(f"{line}\n")
                self._files[name].flush()
            self._tails[name].append(line)

    def tail(self, name: str) -> str:
        """The last lines that a program has written."""
        with self._lock:
            return "\n".join(self._tails[name])

    def close(self) -> None:
        with self._lock:
            for file in self._files.values():
                file.close()


def _open(path: Path) -> IO[str]:
    if path.exists() and path.stat().st_size > _LOG_LIMIT_BYTES:
        path.replace(path.with_suffix(".old.log"))
    return path.open("a", encoding="utf-8")
