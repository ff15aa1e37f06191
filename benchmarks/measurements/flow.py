"""Triggering and draining at once: one application triggers, the workers work."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from benchmarks.arena import Scene
from benchmarks.contenders import CELERY, OURS, PGQUEUER, TUNED
from benchmarks.findings import Section
from benchmarks.plan import Plan, Size

JOBS = Size(4_000, 2_000)
BATCHED = Size(40_000, 20_000, 200)
AT_ONCE = 100
PATIENCE_SECONDS = 120.0
ENOUGH_PER_SECOND = 1_000


def measure(plan: Plan) -> Section:
    section = Section("Triggering and draining at once")
    rates: dict[str, list[float]] = defaultdict(list)
    for contender in plan.rounds((OURS, CELERY, TUNED, PGQUEUER), section):
        with plan.scene(contender, section) as scene:
            scene.warm_up()
            jobs = plan.number(JOBS)
            rates[contender.title].append(_rate(scene, jobs, lambda n, s=scene: s.trigger(n)))
            if contender is OURS:
                many = plan.number(BATCHED)
                rate = _rate(scene, many, lambda n, s=scene: s.fill(n, at_once=AT_ONCE))
                rates[f"{OURS.title}, {AT_ONCE} in a batch"].append(rate)
    for title, found in rates.items():
        section.add(title, found, "jobs/s")
    section.compare(CELERY.title)
    _judge(section)
    return section


def _rate(scene: Scene, jobs: int, trigger: Callable[[int], object]) -> float:
    """Jobs a second from the first trigger to the end of the last job."""
    before = scene.meter.count
    trigger(jobs)
    end = scene.wait_until_done(PATIENCE_SECONDS)
    return jobs / (end - scene.meter.starts()[before].at)


def _judge(section: Section) -> None:
    """Either bound will do."""
    ours = section.find(OURS.title)
    if ours is not None and ours.value >= ENOUGH_PER_SECOND:
        section.hold("at least 1,000 jobs/s", ours.value, at_least=ENOUGH_PER_SECOND)
    else:
        target = "at least 3 times Celery (or 1,000 jobs/s)"
        section.judge(target, OURS.title, CELERY.title, at_least=3)
