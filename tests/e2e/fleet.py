"""A fleet of real processes on a stack of its own: workers, beats and a web process, to be killed.

Every process bears the fleet's mark in its environment, also those that it starts itself, so that
nothing outlives the test and nobody else's process is touched.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import psycopg

from jobs_platform.embedded.stack import Stack
from tests.e2e.journal import FOLDER, Journal
from tests.waiting import wait_until

PROJECT = Path(__file__).parent.parent.parent
TASK_FOLDER = Path(__file__).with_name("task_folder")
MARK = "E2E_MARK"
KEEPER = "jobs_platform.runtime.keeper"
MANAGE = (sys.executable, "manage.py")
SHORT = {
    "DIRS": [str(TASK_FOLDER)],
    "LEASE_SECONDS": 6,
    "HEARTBEAT_SECONDS": 1,
    "SHUTDOWN_TIMEOUT_SECONDS": 12,
    "CANCEL_GRACE_SECONDS": 2,
    "LOG_LINES_PER_RUN": 100,
}
START_SECONDS = 30.0
STOP_SECONDS = 20.0
SHOWN_OF_A_LOG = 6000


@dataclass
class Process:
    """One process that a test started, with all that it starts."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def is_alive(self) -> bool:
        return self.popen.poll() is None

    def children(self) -> list[psutil.Process]:
        """Pool children."""
        return [child for child in self._descendants() if KEEPER not in _command(child)]

    def keeper(self) -> psutil.Process:
        found = [child for child in self._descendants() if KEEPER in _command(child)]
        assert len(found) == 1, f"{self.name} has {len(found)} keepers"
        return found[0]

    def signal(self, number: signal.Signals) -> None:
        self.popen.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, to this process alone."""
        self.popen.kill()
        self.popen.wait()

    def kill_host(self) -> None:
        """Everything at once, as when a machine loses its power."""
        family = [psutil.Process(self.pid), *self._descendants()]
        for number in (signal.SIGSTOP, signal.SIGKILL):  # nobody sees another one die
            for process in family:
                process.send_signal(number)
        self.popen.wait()

    def stop(self, *, seconds: float = STOP_SECONDS) -> int:
        """SIGTERM; returns the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait(seconds=seconds)

    def wait(self, *, seconds: float = STOP_SECONDS) -> int:
        wait_until(lambda: not self.is_alive, seconds, f"the end of {self.name}")
        return self.popen.returncode

    def said(self) -> str:
        return self.log.read_text("utf-8", "replace")

    def _descendants(self) -> list[psutil.Process]:
        try:
            return psutil.Process(self.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []


class Fleet:
    """Processes of the platform, their journal and their database."""

    def __init__(self, stack: Stack, folder: Path, web: Web | None) -> None:
        self.stack = stack
        self.folder = folder
        self.mark = uuid4().hex
        self.journal = Journal(folder)
        self.processes: list[Process] = []
        self._web = web
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None

    def environment(self, **jobs: Any) -> dict[str, str]:
        """Of every process; `jobs` changes the settings of one."""
        return os.environ | {
            "DATABASE_URL": self.stack.database_url,
            "REDIS_URL": self.stack.redis_url,
            "DJANGO_SETTINGS_MODULE": "tests.e2e.settings",
            "DJANGO_SECRET_KEY": "of-the-tests",
            "E2E_JOBS": json.dumps(SHORT | jobs),
            FOLDER: str(self.folder),
            MARK: self.mark,
            "PYTHONUNBUFFERED": "1",
        }

    def start(self, name: str, command: Sequence[str], **jobs: Any) -> Process:
        """Start a process in a group of its own, its output in a file."""
        log = self.folder / f"{len(self.processes):02}-{name}.log"
        with log.open("wb") as output:
            popen = subprocess.Popen(
                command,
                cwd=PROJECT,
                env=self.environment(**jobs),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        process = Process(name, popen, log)
        self.processes.append(process)
        return process

    def migrate(self) -> None:
        process = self.start("migrate", [*MANAGE, "migrate", "--noinput"])
        assert process.wait(seconds=60) == 0, process.said()

    def worker(self, *, pool: str = "prefork", concurrency: int = 2, **jobs: Any) -> Process:
        options = ["--pool", pool, "--concurrency", str(concurrency), "--loglevel", "INFO"]
        return self.start(f"worker-{pool}", [*MANAGE, "worker", *options], **jobs)

    def beat(self, **jobs: Any) -> Process:
        return self.start("beat", [*MANAGE, "beat"], **jobs)

    def own_web(self) -> Web:
        """A web process of this test's own, to be killed."""
        web = Web(self)
        web.start()
        return web

    def registered(self, *processes: Process) -> None:
        """Wait until these workers or beats are in the database."""
        names = {f"{socket.gethostname()}:{process.pid}" for process in processes}

        def are_there() -> bool:
            for process in processes:
                assert process.is_alive, f"{process.name} ended: {process.said()}"
            rows = self.rows("SELECT name FROM jobs_worker WHERE stopped_at IS NULL")
            return names <= {row[0] for row in rows}

        wait_until(are_there, START_SECONDS, f"the registration of {names}")

    def call(self, name: str, **arguments: Any) -> Any:
        """Ask the web process to trigger or cancel."""
        assert self._web is not None
        return self._web.call(name, **arguments)

    def trigger(self, task: str, payload: Any = None, **options: Any) -> str:
        given = {} if payload is None else payload
        run: str = self.call("trigger", task=task, payload=given, **options)
        return run

    def trigger_many(self, task: str, payloads: Iterable[Any], **options: Any) -> list[str]:
        runs: list[str] = self.call("batch_trigger", task=task, payloads=list(payloads), **options)
        return runs

    def open_gate(self, name: str) -> None:
        (self.folder / name).touch()

    def rows(self, query: str, *params: Any) -> list[tuple[Any, ...]]:
        """What the database says; asked again when it was away."""
        while True:
            try:
                if self._connection is None:
                    self._connection = psycopg.connect(self.stack.database_url, autocommit=True)
                cursor = self._connection.execute(query, params)
                return cursor.fetchall() if cursor.description else []
            except psycopg.OperationalError:
                if self._connection is None:
                    raise
                self._disconnect()

    def value(self, query: str, *params: Any) -> Any:
        return self.rows(query, *params)[0][0]

    def started(self, *runs: str) -> None:
        """Wait until the functions of these runs execute."""

        def are_live() -> bool:
            return set(runs) <= set(self.journal.count("start"))

        wait_until(are_live, START_SECONDS, f"the start of {runs}")

    def end(self) -> None:
        """Kill what is left."""
        self._disconnect()
        left = self.marked()
        for process in left:
            _tolerant(process.kill)
        for process in self.processes:
            process.popen.wait()
        wait_until(lambda: not self.marked(), STOP_SECONDS, "the end of all processes")

    def marked(self) -> list[psutil.Process]:
        """All processes that live and come from this fleet."""
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def logs(self) -> list[tuple[str, str]]:
        """The ends of all logs, that of the web process too."""
        web = [self._web.process] if self._web and self._web.process else []
        shown = [*self.processes, *web]
        return [(process.log.name, process.said()[-SHOWN_OF_A_LOG:]) for process in shown]

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            return (
                process.status() != psutil.STATUS_ZOMBIE
                and process.environ().get(MARK) == self.mark
            )
        except psutil.Error:
            return False


class Web:
    """The web process, which is how tests trigger; started at the first call."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._port = 0
        self.process: Process | None = None

    def call(self, name: str, **arguments: Any) -> Any:
        if self.process is None:
            self.start()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._port}/call",
            data=json.dumps({"call": name, **arguments}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)["result"]

    def start(self) -> Process:
        self._port = free_port()
        command = ["-b", "127.0.0.1", "-p", str(self._port), "jobs_platform.asgi:application"]
        self.process = self._fleet.start("web", [sys.executable, "-m", "daphne", *command])
        wait_until(lambda: answers(self._port), START_SECONDS, "the web process")
        return self.process


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def answers(port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex(("127.0.0.1", port)) == 0


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _tolerant(action: Callable[[], object]) -> None:
    with suppress(psutil.NoSuchProcess):
        action()
