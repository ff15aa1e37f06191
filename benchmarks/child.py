"""Processes that a benchmark starts: they end with it, however it ends, and say what they said."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
STOP_SECONDS = 10.0
_TAIL = 2_000
# Waits for a line on a pipe that only the benchmark holds: without one, the benchmark has died.
_LEASH = 'read -r line || kill -s KILL -- "-$1"'


class BenchmarkError(Exception):
    """A measurement could not be made."""


class Child:
    """One process in a session of its own, on a leash."""

    def __init__(
        self, arguments: Sequence[str], *, environment: Mapping[str, str], log: Path, piped: bool
    ) -> None:
        pipe = subprocess.PIPE if piped else subprocess.DEVNULL
        self._log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=PROJECT,
                env={**os.environ, **environment},
                stdin=pipe,
                stdout=pipe if piped else output,
                stderr=output,
                text=True,
                start_new_session=True,
            )
        self._leash = subprocess.Popen(
            ["/bin/sh", "-c", _LEASH, "leash", str(self.process.pid)],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        return self.process.pid

    def check(self) -> None:
        """`BenchmarkError` with its last words when it has ended."""
        if (code := self.process.poll()) is not None:
            raise BenchmarkError(f"{self._log.stem} ended with code {code}:\n{self.said()}")

    def said(self) -> str:
        return self._log.read_text("utf-8", "replace")[-_TAIL:].strip()

    def stop(self) -> None:
        """Ask, wait, then do not ask."""
        self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
        assert self._leash.stdin is not None
        with suppress(OSError):
            self._leash.stdin.write(b"over\n")
            self._leash.stdin.close()
        self._leash.wait()


def pause(seconds: float) -> None:
    """The benchmark itself does nothing for a while."""
    time.sleep(seconds)
