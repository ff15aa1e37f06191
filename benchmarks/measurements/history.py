"""Whether a drain is slower among millions of finished runs than among ten thousand."""

from __future__ import annotations

import psycopg

from benchmarks.contenders import OURS
from benchmarks.findings import Section
from benchmarks.measurements.drain import Drain, cost, drain
from benchmarks.plan import Plan, Size

LITTLE = Size(10_000, 10_000, 100)
MUCH = Size(2_000_000, 200_000, 200)
JOBS = Size(40_000, 20_000, 100)
_CHUNK = 100_000

_RUNS = """
INSERT INTO jobs_run (
    id, environment_id, task_id, status, queue, worker_queue, run_at, is_claimable, payload,
    max_attempts, attempt_number, fencing_token, version, worker_id, created_at, started_at,
    attempt_started_at, finished_at
)
SELECT uuidv7(at - now()), (SELECT min(id) FROM jobs_environment), 'bench-noop', 'COMPLETED',
    'bench-noop', 'default', at, false, '{"number": 0, "text": "a small payload"}', 3, 1, 1, 3, 1,
    at, at, at, at
FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n,
    LATERAL (SELECT now() - interval '30 days' + n * interval '1 second' AS at)
"""
_ATTEMPTS = """
INSERT INTO jobs_attempt (
    run_id, number, environment_id, status, worker_id, started_at, finished_at
)
SELECT id, 1, environment_id, 'COMPLETED', 1, started_at, finished_at FROM jobs_run ORDER BY id
"""
_EVENTS = """
INSERT INTO jobs_event (run_id, version, environment_id, move, attempt_number, created_at)
SELECT id, version, environment_id, move, attempt, created_at
FROM (SELECT id, environment_id, created_at FROM jobs_run ORDER BY id) AS run
CROSS JOIN (VALUES (1, 'trigger', 0), (2, 'claim', 1), (3, 'complete', 1))
    AS event (version, move, attempt)
"""


def measure(plan: Plan) -> Section:
    little, much = plan.number(LITTLE), plan.number(MUCH)
    section = Section("Drain among finished runs")
    names = {f"{little:,} finished": little, f"{much:,} finished": much}
    drains: dict[str, list[Drain]] = {name: [] for name in names}
    rounds = plan.rounds([OURS], section)
    with plan.arena.database(OURS) as few, plan.arena.database(OURS) as many:
        databases = dict(zip(names, (few, many), strict=True))
        for name, database in databases.items():
            plan.say(f"{section.title}: {name}")
            fill_history(plan.arena.url(database), names[name])
        for _ in rounds:
            for name, database in databases.items():
                with plan.arena.scene(OURS, database=database) as scene:
                    scene.fill(plan.number(JOBS))
                    plan.arena.settle()
                    drains[name].append(drain(scene))
    for name, found in drains.items():
        if found:
            section.add(name, [one.per_second for one in found], "jobs/s", note=cost(found))
    first, last = names
    section.compare(first)
    section.judge("as fast with the most as with the fewest, 20 %", last, first, at_least=0.8)
    return section


def fill_history(database_url: str, runs: int) -> None:
    """Finished runs of the last weeks, with their attempts and their timelines."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("SET synchronous_commit = off")
        for first in range(0, runs, _CHUNK):
            last = min(first + _CHUNK, runs) - 1
            connection.execute(_RUNS, {"first": first, "last": last})
        connection.execute(_ATTEMPTS)
        connection.execute(_EVENTS)
        connection.execute("VACUUM (ANALYZE) jobs_run, jobs_attempt, jobs_event")
