"""Calls that run beside the test, on a thread and a connection of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from django.db import connection

from tests.waiting import wait_until
from tests.world import World

TIMEOUT = 20.0
_WAITING = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


class Beside:
    """Starts calls and knows when they wait for a lock."""

    def __init__(self, world: World) -> None:
        # A transaction would see the activity of its first look for ever.
        self._world = world
        self._onlooker = world.connect()
        self._onlooker.autocommit = True
        self._executor = ThreadPoolExecutor(4)

    def start(self, call: Callable[[], Any]) -> Future[Any]:
        """Start a call that is expected to end."""
        return self._executor.submit(_with_own_connection, call)

    def start_blocked(self, call: Callable[[], Any], *, waiting: int = 1) -> Future[Any]:
        """Start a call and return as soon as `waiting` connections wait for locks."""
        future = self.start(call)
        wait_until(lambda: self._waiting() >= waiting, TIMEOUT, "a connection to wait")
        assert not future.done()
        return future

    def _waiting(self) -> int:
        row = self._onlooker.execute(_WAITING).fetchone()
        return int(row[0]) if row else 0

    def close(self) -> None:
        self._world.let_go()
        self._executor.shutdown()


def _with_own_connection(call: Callable[[], Any]) -> Any:
    try:
        return call()
    finally:
        connection.close()


@contextmanager
def beside_of(world: World) -> Iterator[Beside]:
    made = Beside(world)
    try:
        yield made
    finally:
        made.close()
