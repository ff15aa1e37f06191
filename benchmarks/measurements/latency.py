"""From the call of trigger to the job's first line, with warm workers that have nothing else."""

from __future__ import annotations

from collections import defaultdict

from benchmarks.arena import Scene
from benchmarks.contenders import CELERY, OURS, PGQUEUER, TUNED
from benchmarks.findings import Section
from benchmarks.plan import Plan, Size

JOBS = Size(200, 200)
EVERY_SECONDS = 0.025
PATIENCE_SECONDS = 30.0


def measure(plan: Plan) -> Section:
    section = Section("From trigger to start, idle")
    found: dict[str, list[list[float]]] = defaultdict(list)
    for contender in plan.rounds((OURS, CELERY, TUNED, PGQUEUER), section):
        with plan.scene(contender, section) as scene:
            scene.warm_up()
            found[contender.title].append(_delays(scene, plan.number(JOBS)))
    for percent, unit in ((50, "ms p50"), (99, "ms p99")):
        for title, rounds in found.items():
            samples = [_percentile(delays, percent) for delays in rounds]
            section.add(f"{title} p{percent}", samples, unit)
        section.compare(f"{CELERY.title} p{percent}")
    for percent, most in ((50, 1.2), (99, 2.0)):
        ours, theirs = (f"{who.title} p{percent}" for who in (OURS, CELERY))
        section.judge(f"p{percent} at most {most} times Celery's", ours, theirs, at_most=most)
    return section


def _delays(scene: Scene, jobs: int) -> list[float]:
    """Milliseconds of each job, in ascending order."""
    first = scene.take(jobs)
    began = scene.ask("paced_triggers", first=first, count=jobs, every_seconds=EVERY_SECONDS)
    scene.wait_until_done(PATIENCE_SECONDS)
    at = {start.number: start.at for start in scene.meter.starts()}
    return sorted((at[first + index] - begin) * 1e3 for index, begin in enumerate(began))


def _percentile(ascending: list[float], percent: int) -> float:
    return ascending[min(len(ascending) - 1, len(ascending) * percent // 100)]
