"""A full queue worked off while somebody elsewhere holds a transaction open: no dead row goes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from benchmarks.contenders import OURS
from benchmarks.findings import Section
from benchmarks.measurements.drain import JOBS, check_stored, cost, drain, judge_steadiness
from benchmarks.plan import Plan


def measure(plan: Plan) -> Section:
    section = Section("Drain beside an open transaction")
    drains = []
    for contender in plan.repeated(1).rounds([OURS], section):
        with plan.scene(contender, section) as scene, _held_open(scene.database_url):
            scene.fill(plan.number(JOBS[OURS.name]))
            plan.arena.settle()
            drains.append(drain(scene))
            check_stored(scene)
    if drains:
        section.add(OURS.title, [found.per_second for found in drains], "jobs/s", note=cost(drains))
    judge_steadiness(section, drains, "the last fifth as fast as the first, 20 %")
    return section


@contextmanager
def _held_open(database_url: str) -> Iterator[None]:
    """A snapshot and a transaction id that stay for as long as this does."""
    with psycopg.connect(database_url, application_name="bench holds open") as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        connection.execute("SELECT count(*) FROM jobs_run")
        connection.execute("SELECT pg_current_xact_id()")
        yield
        connection.rollback()
