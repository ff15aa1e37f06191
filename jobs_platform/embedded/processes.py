"""Server processes: started in a session of their own, watched by a guard, found again after a
crash.

Owns signals and pids. A process is taken for ours only by its program and its working directory,
which is the data folder of its server: a pid alone may have been given to somebody else.
"""

from __future__ import annotations

import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import psutil

from .errors import EmbeddedStackError, disk_full, says_disk_full, writing_into

HOST = "127.0.0.1"
# Below the ephemeral ports of Linux and macOS: a client that reconnects to a stopped server on an
# ephemeral port may be given that very port for itself, connect to itself and block the server's
# return.
PORTS = range(15_000, 32_000)
POLL_SECONDS = 0.02
LOG_TAIL_CHARACTERS = 2_000
LOG_LIMIT_BYTES = 10_000_000
# Nothing of the caller's environment reaches the servers (PGDATA, LD_PRELOAD, locale ...).
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
# Waits for a line on a pipe that only the owner holds. End of file without a line: the owner died,
# stop the server.
GUARD_SCRIPT = 'read -r line || { kill -s "$1" "$2"; kill -s CONT "$2"; } 2>/dev/null'


class ServerProcess:
    """One running server; stopped by its guard should this process die without stopping it."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        folder: Path,
        log: Path,
        stop_signal: signal.Signals,
        input: str | None = None,
        user: int | None = None,
        group: int | None = None,
    ) -> None:
        self._stop_signal = stop_signal
        with open_log(log) as output, launching(command[0], log=log):
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env=ENVIRONMENT,
                stdin=subprocess.DEVNULL if input is None else subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the owner; it stops the servers last
                user=user,
                group=group,
                extra_groups=None if user is None else [],
            )
        if input is not None and self._process.stdin is not None:
            self._process.stdin.write(input.encode())
            self._process.stdin.close()
        self._guard = subprocess.Popen(
            [
                "/bin/sh",
                "-c",
                GUARD_SCRIPT,
                "guard",
                stop_signal.name.removeprefix("SIG"),
                str(self.pid),
            ],
            cwd="/",
            env=ENVIRONMENT,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_alive(self) -> bool:
        alive = self._process.poll() is None
        if not alive:
            self._dismiss_guard()
        return alive

    def stop(self, *, how: signal.Signals, timeout: float) -> bool:
        """Sends `how` and waits; False if the server is still there after `timeout` seconds."""
        if self.is_alive():
            self.signal_family(signal.SIGCONT)  # frozen processes would not hear the other one
            self._process.send_signal(how)
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return False
        self._dismiss_guard()
        return True

    def signal_family(self, number: signal.Signals) -> None:
        """Signals the server and all its children."""
        for process in family(self.pid):
            send(process, number)

    def _dismiss_guard(self) -> None:
        if self._guard.stdin is None or self._guard.stdin.closed:
            return
        try:
            self._guard.stdin.write(b"over\n")
            self._guard.stdin.close()
        except OSError:
            pass  # the guard was killed: there is nobody left to dismiss
        self._guard.wait()


def family(pid: int) -> list[psutil.Process]:
    """The process and its descendants, the process first."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def occupants(folder: Path, *, program: str) -> list[psutil.Process]:
    """The processes of `program` that work in `folder`: servers and children that outlived a
    killed owner.
    """
    found = []
    real = str(folder.resolve())
    for process in psutil.process_iter():
        try:
            if process.name().startswith(program) and process.cwd() == real:
                found.append(process)
        except psutil.Error:
            continue
    return found


def evict(folder: Path, *, program: str, patience: float = 10.0) -> int:
    """Ends whatever `occupants` finds, gently and then not; returns how many there were."""
    processes = occupants(folder, program=program)
    for number, seconds in ((signal.SIGINT, patience), (signal.SIGKILL, patience)):
        left = [process for process in processes if process.is_running()]
        for process in left:
            send(process, signal.SIGCONT)
            send(process, number)
        _, alive = psutil.wait_procs(left, timeout=seconds)
        if not alive:
            break
    return len(processes)


def send(process: psutil.Process, number: signal.Signals) -> None:
    with suppress(psutil.Error):  # gone already
        process.send_signal(number)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on, chosen at random so that two stacks rarely
    meet.
    """
    for _ in range(200):
        port = random.choice(PORTS)
        if is_free(port):
            return port
    raise EmbeddedStackError(
        "port_in_use", f"No free port between {PORTS.start} and {PORTS.stop} on {HOST}."
    )


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def require_free(port: int, *, server: str) -> int:
    if not is_free(port):
        raise EmbeddedStackError(
            "port_in_use",
            f"Port {port} for {server} is in use on {HOST} or not allowed. Choose "
            "another one, or none: "
            "a free one is found then.",
        )
    return port


def wait_for(condition: Callable[[], bool], *, timeout: float) -> bool:
    """Asks `condition` until it holds or `timeout` seconds are over."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def nothing() -> None:
    """What happens after the start of a server that nobody asked about."""


def open_log(path: Path) -> IO[bytes]:
    """The log opened for appending; a long one is put aside first."""
    with writing_into(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.stat().st_size > LOG_LIMIT_BYTES:
            path.replace(path.with_suffix(".old.log"))
        return path.open("ab")


def log_since(path: Path, position: int) -> str:
    """What a server wrote after `position`, its end if that is long."""
    with path.open("rb") as file:
        file.seek(position)
        return file.read().decode(errors="replace")[-LOG_TAIL_CHARACTERS:].strip()


@contextmanager
def launching(program: str, *, log: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise failed_start(program, log=log, said=str(error)) from error


def failed_start(server: str, *, log: Path, said: str) -> EmbeddedStackError:
    if says_disk_full(said):
        return disk_full(log.parent)
    return EmbeddedStackError(
        "start_failed", f"{server} did not start. Its log ({log}) says:\n{said or '(nothing)'}"
    )
