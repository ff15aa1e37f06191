"""How long the database may think about one page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DEFAULT_DB_ALIAS, OperationalError, connections, transaction
from psycopg.errors import QueryCanceled


class TooSlowError(Exception):
    """The database was stopped: the answer would have taken longer than the page allows."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """End every statement inside after `seconds`; `TooSlowError` when that happened.

    A transaction of its own, or a savepoint of the one that is open, which can then go on.
    """
    try:
        with transaction.atomic(using=DEFAULT_DB_ALIAS):
            before = _set_timeout(f"{seconds * 1000:.0f}ms")
            yield
            _set_timeout(before)
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled):
            raise TooSlowError from error
        raise


def _set_timeout(value: str) -> str:
    """Set the transaction's timeout and return the one before."""
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('statement_timeout'), "
            "set_config('statement_timeout', %s, true)",
            [value],
        )
        return str(cursor.fetchone()[0])
