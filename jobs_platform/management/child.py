"""One child process: started in a session of its own, read line by line, ended with its group."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

_GROUP_PATIENCE_SECONDS = 1.0
"""What a child leaves running when it ends has so long to notice it."""
_OUTPUT_PATIENCE_SECONDS = 5.0
"""And what it has put into another group, as a worker its keeper, so long to end its output."""
_POLL_SECONDS = 0.02

Write = Callable[[str, str], None]
"""Takes the name of a program and one line of its output."""


@dataclass(frozen=True, slots=True)
class Program:
    """What is to be kept running."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables on top of this process' own."""
    file_descriptors: tuple[int, ...] = ()
    """Open files that the program inherits under the same number."""
    is_foreground: bool = False
    """It has the terminal: nothing of it is read, and its end ends everything."""


class Child:
    """A running program. `on_exit` is called once, from a thread, when nothing of it is left."""

    def __init__(self, program: Program, *, write: Write, on_exit: Callable[[Child], None]) -> None:
        self.program = program
        self.started_at = time.monotonic()
        self.kill_at: float | None = None
        """Set when it was told to stop: how long its patience lasts, on the monotonic clock."""
        piped = None if program.is_foreground else subprocess.PIPE
        self._process = subprocess.Popen(
            program.command,
            # Handed on as it is; only the settings look into it.
            env={**os.environ, "PYTHONUNBUFFERED": "1", **program.environment},
            stdin=None if program.is_foreground else subprocess.DEVNULL,
            stdout=piped,
            stderr=None if program.is_foreground else subprocess.STDOUT,
            # Ctrl-C is for the owner, which stops its children in order.
            start_new_session=not program.is_foreground,
            pass_fds=program.file_descriptors,
        )
        self._write = write
        reader = threading.Thread(target=self._read, name=f"read {program.name}", daemon=True)
        reader.start()
        threading.Thread(
            target=self._wait, args=(reader, on_exit), name=f"wait {program.name}", daemon=True
        ).start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative for the signal that ended it."""
        return self._process.returncode

    @property
    def is_stopping(self) -> bool:
        return self.kill_at is not None

    def stop(self, *, patience_seconds: float) -> None:
        """Ask it to stop; `kill` is due when its patience is over."""
        deadline = time.monotonic() + patience_seconds
        self.kill_at = min(deadline, self.kill_at or deadline)
        self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it and all that it started."""
        self.kill_at = time.monotonic() + _GROUP_PATIENCE_SECONDS
        with suppress(ProcessLookupError):
            if self.program.is_foreground:
                self._process.kill()
            else:
                os.killpg(self.pid, signal.SIGKILL)

    def _read(self) -> None:
        if self._process.stdout is None:
            return
        with self._process.stdout as lines:
            for line in lines:
                self._write(self.program.name, line.decode(errors="replace").rstrip("\r\n"))

    def _wait(self, reader: threading.Thread, on_exit: Callable[[Child], None]) -> None:
        self._process.wait()
        if not self.program.is_foreground:
            self._end_group()
        reader.join(_OUTPUT_PATIENCE_SECONDS)
        on_exit(self)

    def _end_group(self) -> None:
        deadline = time.monotonic() + _GROUP_PATIENCE_SECONDS
        with suppress(ProcessLookupError):
            while time.monotonic() < deadline:
                os.killpg(self.pid, 0)
                time.sleep(_POLL_SECONDS)
            os.killpg(self.pid, signal.SIGKILL)
