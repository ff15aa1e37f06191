"""Runs that wait for slots: a thousand keys that let one go at a time, a queue that lets fifty.

Each beside our own unlimited rate of the same run, and with a long line of runs waiting.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

import psycopg

from benchmarks.arena import Scene
from benchmarks.child import BenchmarkError
from benchmarks.contenders import OURS, PROCRASTINATE
from benchmarks.cpu import micros_per_job
from benchmarks.findings import Section
from benchmarks.measurements.drain import PATIENCE_SECONDS, Drain, cost, last_to_first
from benchmarks.plan import Plan, Size

KEYS = Size(1_000, 1_000, 10)
RUNS = Size(40_000, 10_000, 100)
PEER_RUNS = Size(4_000, 1_500, 20)
"""Rates are compared: who is slow gets fewer, but more than one run a key."""
WAITING = Size(1_000_000, 100_000, 100)
LIMIT = 50
"""Of the queue `bench-limited`."""
_CHUNK = 50_000

_WAITING = """
WITH run AS (
    INSERT INTO jobs_run (
        id, environment_id, task_id, status, queue, worker_queue, run_at, is_claimable, is_waiting,
        needs_slot, concurrency_key, payload, max_attempts
    )
    SELECT uuidv7(), (SELECT min(id) FROM jobs_environment), %(task)s, 'QUEUED', %(queue)s,
        'default', now() + n * interval '1 microsecond', false, true, true, %(key)s,
        '{"number": -1, "text": "a small payload"}', 3
    FROM generate_series(1, %(runs)s::bigint) AS n
    RETURNING id, environment_id
)
INSERT INTO jobs_event (run_id, version, environment_id, move, attempt_number)
SELECT id, 1, environment_id, 'trigger', 0 FROM run
"""

Fill = Callable[[Scene, int], object]


def measure(plan: Plan) -> Section:
    section = Section("Limited queues and keys")
    drains: dict[str, list[Drain]] = defaultdict(list)
    keys, waiting = plan.number(KEYS), plan.number(WAITING)
    kinds: dict[str, Fill] = {
        "unlimited": lambda scene, runs: scene.fill(runs),
        f"{keys:,} keys": lambda scene, runs: _fill(scene, "fill_keys", runs, keys=keys),
        f"limit of {LIMIT}": lambda scene, runs: _fill(scene, "fill_limited", runs),
        f"{keys:,} keys, {waiting:,} wait": lambda scene, runs: (
            _fill(scene, "fill_keys", runs, keys=keys),
            _let_wait(scene, waiting, task="bench-noop", key="hog"),
        ),
        f"limit of {LIMIT}, {waiting:,} wait": lambda scene, runs: (
            _fill(scene, "fill_limited", runs),
            _let_wait(scene, waiting, task="bench-limited", key=""),
        ),
    }
    for contender in plan.rounds((OURS, PROCRASTINATE), section):
        runs = plan.number(RUNS if contender is OURS else PEER_RUNS)
        for kind, fill in kinds.items() if contender is OURS else list(kinds.items())[1:2]:
            with plan.scene(contender, section) as scene:
                fill(scene, runs)
                plan.arena.settle()
                drains[f"{contender.title}, {kind}"].append(_drain(scene, runs))
    for title, found in drains.items():
        section.add(title, [drain.per_second for drain in found], "jobs/s", note=cost(found))
    _judge(section, list(kinds), f"{keys:,} keys")
    return section


def _judge(section: Section, kinds: list[str], keyed: str) -> None:
    unlimited, *limited = (f"{OURS.title}, {kind}" for kind in kinds)
    section.compare(unlimited)
    for subject in limited[:2]:
        section.judge(f"{subject}: half of unlimited", subject, unlimited, at_least=0.5)
    peer = f"{PROCRASTINATE.title}, {keyed}"
    section.judge(f"{keyed}: 4 times Procrastinate", limited[0], peer, at_least=4)
    for little, much in zip(limited[:2], limited[2:], strict=True):
        section.judge(f"{much}: as fast as without, 20 %", much, little, at_least=0.8)


def _fill(scene: Scene, name: str, runs: int, **options: int) -> None:
    scene.ask(name, first=scene.take(runs), count=runs, **options)


def _let_wait(scene: Scene, runs: int, *, task: str, key: str) -> None:
    """A long line behind those that are measured."""
    with psycopg.connect(scene.database_url, autocommit=True) as connection:
        connection.execute("SET synchronous_commit = off")
        for first in range(0, runs, _CHUNK):
            count = min(_CHUNK, runs - first)
            params = {"task": task, "queue": task, "key": key, "runs": count}
            connection.execute(_WAITING, params)
        connection.execute("VACUUM (ANALYZE) jobs_run, jobs_event")


def _drain(scene: Scene, runs: int) -> Drain:
    """From the first start to that of the last run that is measured; others may wait behind it."""
    idle = scene.cpu()
    scene.start_workers()
    scene.wait_until_started(1, PATIENCE_SECONDS)
    used = {**scene.cpu(), **{part: idle[part] for part in ("Postgres", "Valkey")}}
    scene.wait_until_started(runs, PATIENCE_SECONDS)
    micros = micros_per_job(used, scene.cpu(), runs)
    starts = scene.meter.starts()[:runs]
    numbers = [start.number for start in starts if start.number >= 0]
    if len(set(numbers)) != len(numbers):
        raise BenchmarkError(f"{scene.contender.title} executed jobs twice.")
    ats = [start.at for start in starts]
    return Drain(len(ats) / (ats[-1] - ats[0]), last_to_first(ats), micros)
