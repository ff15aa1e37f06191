"""The caller's own Django connection: triggers and reads take part in the caller's transaction.

Owns the bell that rings once after that transaction's commit. Must not open transactions of its own
around a single statement: a commit costs more than the statement.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol, cast

from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.base import ServerBindingCursor
from django.db.backends.utils import CursorWrapper
from django.db.utils import InterfaceError, OperationalError, ProgrammingError
from psycopg.conninfo import make_conninfo

from jobs_platform.domain.errors import DatabaseUnavailableError, NotMigratedError
from jobs_platform.sdk import ports
from jobs_platform.sql import statement

Row = tuple[Any, ...]
_DJANGO_ONLY = (
    "server_side_binding",
    "assume_role",
    "isolation_level",
    "pool",
    "prepare_threshold",
)
_UNDEFINED = ("42P01", "42703")


class Bell(Protocol):
    """Wakes workers of a worker queue; never raises, never blocks for long."""

    def __call__(self, worker_queue: str, wanted: int) -> None: ...


def _silent(worker_queue: str, wanted: int) -> None:
    """Nobody is woken; the sweep of a beat will."""


class _Ringing:
    bell: Bell = staticmethod(_silent)


def bind_bell(bell: Bell) -> None:
    """Plug in what wakes workers. Called once, by `apps.py`."""
    _Ringing.bell = staticmethod(bell)


def connection() -> BaseDatabaseWrapper:
    """Django's connection to the platform's tables in this thread."""
    return connections[DEFAULT_DB_ALIAS]


def in_transaction() -> bool:
    """Whether the caller holds a transaction open."""
    return bool(connection().in_atomic_block) or not connection().get_autocommit()


def execute(name: str, params: Mapping[str, Any]) -> list[Row]:
    """Run `sql/NAME.sql` in the caller's transaction, or as one of its own.

    It is prepared, unless `JOBS["PREPARED_STATEMENTS"]` says no: planning is a quarter of what a
    trigger costs.
    """
    with translated(), _preparing_cursor() as cursor:
        cursor.execute(statement(name), params)
        return cast("list[Row]", cursor.fetchall()) if cursor.cursor.rownumber is not None else []


@contextmanager
def _preparing_cursor() -> Iterator[CursorWrapper]:
    """Django's own cursor, with its wrappers and its log, whose parameters the server binds.

    The rest of the application goes on as Django wants it, without prepared statements.
    """
    django = connection()
    django.ensure_connection()
    raw = django.connection
    threshold = raw.prepare_threshold
    if threshold is None and ports.configuration().prepared_statements:
        raw.prepare_threshold = 0
    try:
        with django._prepare_cursor(ServerBindingCursor(raw)) as cursor:  # type: ignore[attr-defined,call-arg]
            yield cursor
    finally:
        raw.prepare_threshold = threshold


@contextmanager
def own_transaction() -> Iterator[None]:
    """Several statements that commit together, or with the transaction that the caller holds."""
    with translated(), transaction.atomic(using=DEFAULT_DB_ALIAS):
        yield


@contextmanager
def translated() -> Iterator[None]:
    """Say in our words that the database is away or not migrated; let every other error pass."""
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        if getattr(error.__cause__, "sqlstate", None) == "40P01":
            raise
        raise DatabaseUnavailableError(reason=str(error).strip().rstrip(".")) from error
    except ProgrammingError as error:
        if getattr(error.__cause__, "sqlstate", None) in _UNDEFINED:
            raise NotMigratedError(reason=str(error).splitlines()[0]) from error
        raise


def ring_after_commit(wanted: Mapping[str, int]) -> None:
    """Wake workers when the caller's transaction commits; not at all when it rolls back.

    Registered once per savepoint, so that a rolled-back savepoint takes only its own wish along;
    the first callback that fires rings for all. A transaction managed by hand (autocommit off)
    never calls back: there the sweep rings.
    """
    django = connection()
    if not django.in_atomic_block:
        if django.get_autocommit():
            _ring(wanted)
        return
    wishes: _Wishes | None = getattr(django, "_jobs_wishes", None)
    if wishes is None:
        wishes = _Wishes()
        django._jobs_wishes = wishes  # type: ignore[attr-defined]
    hooks = cast("list[tuple[set[str], object, bool]]", django.run_on_commit)
    registered = [ids for ids, function, _ in hooks if function is wishes.ring]
    if not registered:
        wishes.counts.clear()  # what is left there was rolled back
    wishes.counts.update(wanted)
    if set(django.savepoint_ids) not in registered:
        transaction.on_commit(wishes.ring, using=DEFAULT_DB_ALIAS, robust=True)


class _Wishes:
    """What a connection's transaction wants rung; a superfluous ring is harmless."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.ring = self._ring  # one bound method, so that it can be recognised

    def _ring(self) -> None:
        wanted, self.counts = self.counts, Counter()
        _ring(wanted)


def _ring(wanted: Mapping[str, int]) -> None:
    for worker_queue, count in wanted.items():
        _Ringing.bell(worker_queue, count)


def conninfo() -> str:
    """How to open a connection like Django's, for a `Line`."""
    settings = connection().settings_dict
    known = {
        "dbname": settings["NAME"],
        "user": settings["USER"],
        "password": settings["PASSWORD"],
        "host": settings["HOST"],
        "port": settings["PORT"],
        **{
            key: value for key, value in settings["OPTIONS"].items() if isinstance(value, str | int)
        },
    }
    for django_only in _DJANGO_ONLY:
        known.pop(django_only, None)
    return make_conninfo(**{key: value for key, value in known.items() if value not in (None, "")})
