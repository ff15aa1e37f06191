"""Where contenders meet: one embedded stack, a database and a list of messages for each scene.

A scene is one contender on a database of its own: its producer from the start, its workers when
they are wanted. One scene at a time.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import redis
from psycopg import sql

from benchmarks.child import BenchmarkError, Child, pause
from benchmarks.contenders import Contender
from benchmarks.cpu import Seconds, seconds_used
from benchmarks.meter import FOLDER_VARIABLE, Meter
from jobs_platform.embedded.stack import Stack

START_SECONDS = 60.0
POLL_SECONDS = 0.02
_REDIS_DATABASE = 9
_MEMORY = Path("/dev/shm")
"""Where it exists, noting a job costs no disk."""
_WARM_JOBS = 200


class Scene:
    """A contender at work. Jobs are numbered from 0 over the whole scene."""

    def __init__(self, arena: Arena, contender: Contender, database: str) -> None:
        self.contender = contender
        self.database_url = arena.url(database)
        pages = _MEMORY if os.access(_MEMORY, os.W_OK) else arena.folder
        self.meter = Meter(Path(tempfile.mkdtemp(prefix="jobs-bench-", dir=pages)))
        self.next_number = 0
        self._arena = arena
        self._environment = arena.environment | contender.environment
        self._environment |= {
            "DATABASE_URL": self.database_url,
            FOLDER_VARIABLE: str(self.meter.folder),
        }
        self._workers: list[Child] = []
        self._producer = self._child(
            ("-m", "benchmarks.producing", contender.name), "producer", piped=True
        )

    def ask(self, name: str, **arguments: Any) -> Any:
        """Let the producer do something and wait for its answer."""
        process = self._producer.process
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps({"name": name, "arguments": arguments}) + "\n")
            process.stdin.flush()
        except BrokenPipeError:
            self._producer.process.wait(START_SECONDS)
        line = process.stdout.readline()
        if not line:
            self._producer.process.wait(START_SECONDS)
            self._producer.check()
        return json.loads(line)

    def take(self, jobs: int) -> int:
        """The first of so many new numbers."""
        first = self.next_number
        self.next_number += jobs
        return first

    def fill(self, jobs: int, *, at_once: int | None = None) -> float:
        """Queue many jobs, all or `at_once` in one call; returns the seconds."""
        first, step = self.take(jobs), at_once or jobs
        return float(self.ask("timed_fill", first=first, count=jobs, at_once=step))

    def trigger(self, jobs: int) -> list[float]:
        """Queue jobs one by one; returns when each call began, and when the last one ended."""
        found: list[float] = self.ask("timed_triggers", first=self.take(jobs), count=jobs)
        return found

    def start_workers(self) -> None:
        for number, arguments in enumerate(self.contender.workers):
            self._workers.append(self._child(arguments, f"worker {number}", piped=False))

    def warm_up(self) -> None:
        """Start the workers, let them work a little, wait until they are idle."""
        self.start_workers()
        self.fill(_WARM_JOBS)
        self.wait_until_done(START_SECONDS)
        pause(1.0)

    def wait_until_started(self, jobs: int, timeout: float) -> None:
        """Until so many jobs of this scene were started."""
        self._wait(lambda: self.meter.count >= jobs, f"{jobs:,} started jobs", timeout)

    def wait_until_done(self, timeout: float) -> float:
        """Until the store knows of all jobs that they are finished; returns that moment."""
        began = time.monotonic()
        self.wait_until_started(self.next_number, timeout)
        left = timeout - (time.monotonic() - began)
        self._wait(lambda: self.ask("unfinished") == 0, "the end of all jobs", left)
        return time.monotonic()

    def cpu(self) -> Seconds:
        """CPU seconds that workers and servers have used so far."""
        stack = self._arena.stack
        return seconds_used(self.worker_ids, postgres=stack.postgres.pid, valkey=stack.valkey.pid)

    @property
    def worker_ids(self) -> list[int]:
        return [worker.pid for worker in self._workers]

    def close(self) -> None:
        for child in (*self._workers, self._producer):
            child.stop()
        shutil.rmtree(self.meter.folder, ignore_errors=True)

    def _wait(self, condition: Callable[[], bool], what: str, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while not condition():
            for worker in self._workers:
                worker.check()
            if time.monotonic() > deadline:
                said = "\n".join(worker.said() for worker in self._workers)
                raise BenchmarkError(
                    f"{self.contender.title}: waited {timeout:.0f} s for {what}, "
                    f"{self.meter.count:,} of {self.next_number:,} started.\n{said}"
                )
            pause(POLL_SECONDS)

    def _child(self, arguments: tuple[str, ...], name: str, *, piped: bool) -> Child:
        log = self._arena.folder / f"{self.contender.name} {name}.log"
        return Child(arguments, environment=self._environment, log=log, piped=piped)


class Arena:
    """The servers, and what all scenes need of them."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.stack = stack
        self.folder = folder
        redis_url = urlsplit(stack.redis_url)._replace(path=f"/{_REDIS_DATABASE}").geturl()
        self._redis: redis.Redis = redis.Redis.from_url(redis_url)
        self.environment = {
            "REDIS_URL": redis_url,
            "DJANGO_SECRET_KEY": "benchmarks",
            "DJANGO_DEBUG": "0",
            "JOBS_DIRS": "benchmarks/tasks",
            "JOBS_DATA_DIR": str(folder),
        }
        self._numbers = count(1)
        self._templates: dict[str, str] = {}

    def url(self, database: str) -> str:
        return self.stack.postgres.database_url(database)

    @contextmanager
    def scene(self, contender: Contender, *, database: str | None = None) -> Iterator[Scene]:
        """A contender on `database`, or on a new one that is gone afterwards."""
        self._redis.flushdb()
        if database is not None:
            with self._playing(contender, database) as scene:
                yield scene
            return
        with self.database(contender) as name, self._playing(contender, name) as scene:
            yield scene

    @contextmanager
    def database(self, contender: Contender) -> Iterator[str]:
        """A database with the contender's empty tables."""
        name = f"bench_{next(self._numbers)}"
        if contender.stores:
            self._create(name, self._template(contender))
        else:
            self._create(name, "template1")
        try:
            yield name
        finally:
            self._run(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def settle(self) -> None:
        """Write out what the preparations have changed, so that nobody pays for it later."""
        self._run(sql.SQL("CHECKPOINT"))

    @contextmanager
    def _playing(self, contender: Contender, database: str) -> Iterator[Scene]:
        scene = Scene(self, contender, database)
        try:
            yield scene
        finally:
            scene.close()

    def _template(self, contender: Contender) -> str:
        if contender.name not in self._templates:
            name = f"bench_{contender.name}"
            self._create(name, "template1")
            with self._playing(contender, name) as scene:
                scene.ask("prepare")
            self._templates[contender.name] = name
        return self._templates[contender.name]

    def _create(self, name: str, template: str) -> None:
        query = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        self._run(query.format(sql.Identifier(name), sql.Identifier(template)))

    def _run(self, statement: sql.Composable) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement)


@contextmanager
def open_arena() -> Iterator[Arena]:
    """An arena on a stack of its own that keeps every commit, as in production."""
    folder = Path(tempfile.mkdtemp(prefix="jobs-bench-"))
    folder.chmod(0o711)
    stack = Stack(folder / "stack", durable=True)
    try:
        with stack:
            yield Arena(stack, folder)
    finally:
        stack.destroy()
        shutil.rmtree(folder, ignore_errors=True)
