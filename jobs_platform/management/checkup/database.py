"""Postgres: reachable, migrated, of the same time, and not held up by a forgotten transaction."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from django.db import connections
from django.db.migrations.executor import MigrationExecutor
from django.db.models.functions import Now

from jobs_platform.domain.clock import utc_now
from jobs_platform.domain.durations import to_text
from jobs_platform.domain.errors import DatabaseUnavailableError
from jobs_platform.engine import caller
from jobs_platform.management.checkup.finding import Finding, ok, problem, several, warn
from jobs_platform.management.servers import database_url
from jobs_platform.models import Environment, Run
from jobs_platform.sdk.ports import configuration

LONG_TRANSACTION_SECONDS = 60
_SKEW_SECONDS = 2.0
_PRUNE_TOLERANCE = timedelta(days=1)


def check_reachable() -> Finding:
    """The one check that all others need."""
    try:
        with caller.translated():
            connection = caller.connection()
            connection.ensure_connection()
            version = server_version()
    except DatabaseUnavailableError as error:
        mend = "Start it with `manage.py dev`, or correct DATABASE_URL or DATABASES."
        return problem("database", f"Postgres cannot be reached: {error.reason}.", mend=mend)
    where = database_url(with_password=False)
    return ok("database", f"Postgres {version} answers at {where}.")


def server_version() -> str:
    number = caller.connection().connection.info.server_version
    return f"{number // 10_000}.{number % 10_000}"


def check_migrated() -> Finding:
    executor = MigrationExecutor(connections[caller.connection().alias])
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if not plan:
        return ok("migrations", "All migrations are applied.")
    names = ", ".join(f"{migration.app_label}.{migration.name}" for migration, _ in plan[:5])
    what = f"{several(len(plan), 'migration is', 'migrations are')} not applied: {names}."
    return problem("migrations", what, mend="Run `manage.py migrate`.")


def check_details() -> Iterator[Finding]:
    """What needs the tables."""
    yield _check_clock()
    yield _check_open_transactions()
    yield _check_retention()


def _check_clock() -> Finding:
    before = utc_now()
    rows = Environment.objects.values_list(Now(), flat=True)[:1]
    there = next(iter(rows), None)
    after = utc_now()
    if there is None:
        return ok("clock", "There is no environment yet to ask for the time.")
    skew = abs((there - (before + (after - before) / 2)).total_seconds())
    if skew <= _SKEW_SECONDS:
        return ok("clock", f"This machine and Postgres agree on the time ({skew * 1000:.0f} ms).")
    what = f"The clock of this machine and that of Postgres differ by {to_text(skew)}."
    return warn("clock", what, mend="Let both synchronise with NTP; runs go by Postgres' clock.")


def _check_open_transactions() -> Finding:
    rows = caller.execute("open_transactions", {"seconds": LONG_TRANSACTION_SECONDS})
    if not rows:
        limit = to_text(LONG_TRANSACTION_SECONDS)
        return ok("transactions", f"No transaction has been open for longer than {limit}.")
    pid, application, state, seconds = rows[0]
    who = f"process {pid} ({application or 'unnamed'}, {state})"
    what = (
        f"{several(len(rows), 'transaction is', 'transactions are')} open for long, the oldest for "
        f"{to_text(round(seconds))}: {who}. Dead rows cannot be cleared, and claims become slow."
    )
    mend = f"End it in its program, or with SELECT pg_terminate_backend({pid})."
    return warn("transactions", what, mend=mend)


def _check_retention() -> Finding:
    days = configuration().retention_days
    if days is None:
        return ok("retention", 'Runs are kept for ever (JOBS["RETENTION_DAYS"] is None).')
    environment = Environment.objects.filter(slug=configuration().environment).first()
    oldest = Run.objects.filter(environment=environment).order_by("id").first()
    overdue = timedelta(days=days) + _PRUNE_TOLERANCE
    if oldest is None or oldest.finished_at is None or utc_now() - oldest.finished_at < overdue:
        return ok("retention", f"No run is kept for longer than {days:g} days.")
    what = f"Runs older than the retention of {days:g} days are still there."
    return warn("retention", what, mend="Run `manage.py prune`, best of all every night.")
