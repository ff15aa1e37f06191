"""A connection of the engine's own, outside Django: workers, keepers and beats talk over it.

Knows how to run a named statement and how to say that the database is away. Imports no Django, so
that the keeper of a worker stays small.
"""

from __future__ import annotations

import select
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self, TypeVar

import psycopg
from psycopg import errors as postgres_errors

from jobs_platform.domain.errors import DatabaseUnavailableError, NotMigratedError
from jobs_platform.sql import statement

Row = tuple[Any, ...]

_SETTINGS = (
    # The statements are written for their index, and statistics lag behind a queue.
    "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; "
    "SET plan_cache_mode = force_generic_plan; SET jit = off; "
    "SET idle_in_transaction_session_timeout = '60s'"
)
_DEADLOCK_TRIES = 5
_NOT_AWAY = (
    # Operational errors by name, but the database is there.
    postgres_errors.DeadlockDetected,
    postgres_errors.QueryCanceled,
    postgres_errors.ProgramLimitExceeded,
    postgres_errors.StatementTooComplex,
)
_T = TypeVar("_T")


class Line:
    """One autocommitting connection, opened at the first use and again after it broke.

    Not for two threads at once.
    """

    def __init__(
        self, conninfo: str, *, application_name: str, lock_timeout_seconds: float = 0.0
    ) -> None:
        self._conninfo = conninfo
        self._application_name = application_name
        self._lock_timeout = f"SET lock_timeout = {int(lock_timeout_seconds * 1000)}"
        self._connection: psycopg.Connection[Row] | None = None
        self._listening: set[str] = set()

    @property
    def connection(self) -> psycopg.Connection[Row]:
        """The open connection; `DatabaseUnavailableError` when there is none to be had."""
        if self._connection is None or self._connection.closed:
            with _translated():
                self._connection = psycopg.connect(
                    self._conninfo, autocommit=True, application_name=self._application_name
                )
                self._connection.execute(f"{_SETTINGS}; {self._lock_timeout}")
                self._listening.clear()
        return self._connection

    def execute(self, name: str, params: Mapping[str, Any]) -> list[Row]:
        """Run `sql/NAME.sql`; a deadlock is tried again whole unless a transaction is open."""

        def work() -> list[Row]:
            with _translated():
                cursor = self.connection.execute(statement(name), params, prepare=True, binary=True)
                return _rows(cursor)

        return self.without_deadlock(work)

    def without_deadlock(self, work: Callable[[], _T]) -> _T:
        """Do `work`, again and whole when it was the victim of a deadlock; not in a transaction."""
        for tries_left in reversed(range(_DEADLOCK_TRIES)):
            try:
                return work()
            except postgres_errors.DeadlockDetected:
                if not tries_left or self.in_transaction:
                    raise
        raise AssertionError("unreachable")

    @property
    def in_transaction(self) -> bool:
        """Whether `transaction` is open."""
        return self.connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Several statements, one commit."""
        with _translated(), self.connection.transaction():
            yield

    def pipeline(self, statements: list[tuple[str, Mapping[str, Any]]]) -> list[list[Row]]:
        """Run several statements in one round trip and one transaction."""

        def work() -> list[list[Row]]:
            connection = self.connection
            with _translated():
                with connection.pipeline(), connection.transaction():
                    cursors = [
                        connection.execute(statement(name), params, prepare=True, binary=True)
                        for name, params in statements
                    ]
                return [_rows(cursor) for cursor in cursors]

        return self.without_deadlock(work)

    def wait_for_notices(
        self, channel: str, seconds: float, *, descriptors: Sequence[int] = ()
    ) -> tuple[list[str], set[int]]:
        """Sleep until a notice comes on `channel`, a descriptor is ready, or the time is over.

        Returns the contents of the notices, and which descriptors are ready. Notices that came
        along with the answer to a statement end the sleep before it begins.
        """
        connection = self.connection
        with _translated():
            if channel not in self._listening:
                connection.execute(f"LISTEN {channel}")
                self._listening.add(channel)
            notices = [notice.payload for notice in connection.notifies(timeout=0)]
            sleep = 0.0 if notices else seconds
            poll = select.poll()
            for descriptor in (connection.fileno(), *descriptors):
                poll.register(descriptor, select.POLLIN)
            ready = {descriptor for descriptor, _ in poll.poll(sleep * 1000)}
            if connection.fileno() in ready:
                notices += [notice.payload for notice in connection.notifies(timeout=0)]
        return notices, ready

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _rows(cursor: psycopg.Cursor[Row]) -> list[Row]:
    """All rows, none for a statement without; asking `description` would cost a call a column."""
    return cursor.fetchall() if cursor.rownumber is not None else []


@contextmanager
def _translated() -> Iterator[None]:
    """Say in our words that the database is away or not ours yet; let every other error pass."""
    try:
        yield
    except _NOT_AWAY:
        raise
    except (postgres_errors.UndefinedTable, postgres_errors.UndefinedColumn) as error:
        raise NotMigratedError(reason=str(error).splitlines()[0]) from error
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise DatabaseUnavailableError(reason=str(error).strip().rstrip(".")) from error
