"""How fast a full queue is worked off, and what it costs."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from statistics import median

from benchmarks.arena import Scene
from benchmarks.child import BenchmarkError
from benchmarks.contenders import ALL, CELERY, OURS, PGQUEUER, RESULTS, TUNED
from benchmarks.cpu import PARTS, Seconds, micros_per_job
from benchmarks.findings import Section
from benchmarks.plan import Plan, Size

JOBS = {
    "jobs_platform": Size(300_000, 60_000, 200),
    "celery": Size(6_000, 3_000),
    "celery_tuned": Size(12_000, 5_000),
    "celery_results": Size(2_000, 800),
    "procrastinate": Size(3_000, 1_500),
    "pgqueuer": Size(30_000, 12_000),
}
"""Rates are compared: who is slow gets fewer."""
PATIENCE_SECONDS = 300.0
PART = 5
"""The first and the last fifth are compared."""
EVENTS_OF_A_RUN = 3


@dataclass(frozen=True, slots=True)
class Drain:
    """One queue worked off."""

    per_second: float
    last_to_first: float
    """How fast the last fifth went, the first being 1."""
    micros: Seconds
    """CPU for each job, by part."""


def measure(plan: Plan) -> Section:
    section = Section("Drain of a full queue")
    drains: dict[str, list[Drain]] = defaultdict(list)
    for contender in plan.rounds(ALL, section):
        with plan.scene(contender, section) as scene:
            jobs = plan.number(JOBS[contender.name])
            scene.fill(jobs)
            plan.arena.settle()
            found = drain(scene)
            if contender is OURS:
                check_stored(scene)
            drains[contender.title].append(found)
    for title, found in drains.items():
        section.add(title, [drain.per_second for drain in found], "jobs/s", note=cost(found))
    section.compare(CELERY.title)
    ours = OURS.title
    section.judge("at least 8 times Celery", ours, CELERY.title, at_least=8)
    section.judge("at least 3 times Celery, tuned", ours, TUNED.title, at_least=3)
    section.judge("at least 20 times Celery + results", ours, RESULTS.title, at_least=20)
    section.judge("level with pgqueuer (0.9 and more)", ours, PGQUEUER.title, at_least=0.9)
    judge_steadiness(section, drains.get(ours, []), "the last fifth as fast as the first, 20 %")
    return section


def drain(scene: Scene) -> Drain:
    """Let the workers loose on what is queued. The clock runs from the first start to the end."""
    before = scene.meter.count
    idle = scene.cpu()
    scene.start_workers()
    scene.wait_until_started(before + 1, PATIENCE_SECONDS)
    used = {**scene.cpu(), **{part: idle[part] for part in ("Postgres", "Valkey")}}
    end = scene.wait_until_done(PATIENCE_SECONDS)
    micros = micros_per_job(used, scene.cpu(), scene.next_number - before)
    starts = scene.meter.starts()[before:]
    if len({start.number for start in starts}) != len(starts):
        raise BenchmarkError(f"{scene.contender.title} executed jobs twice.")
    per_second = len(starts) / (end - starts[0].at)
    return Drain(per_second, last_to_first([start.at for start in starts]), micros)


def check_stored(scene: Scene) -> None:
    """Speed without the history would be no speed at all."""
    stored, runs = scene.ask("stored"), scene.next_number
    if stored != {"runs": runs, "attempts": runs, "events": runs * EVENTS_OF_A_RUN}:
        raise BenchmarkError(f"{runs:,} runs were drained, but this is stored: {stored}")


def judge_steadiness(section: Section, drains: list[Drain], target: str) -> None:
    """The last fifth is to go at least 0.8 times as fast as the first."""
    found = None
    if drains:
        found = section.add("last fifth", [drain.last_to_first for drain in drains], "of the first")
    section.hold(target, found.value if found else None, at_least=0.8)


def cost(drains: list[Drain]) -> str:
    """CPU for each job and who uses it, in words."""
    parts = {part: median(drain.micros[part] for drain in drains) for part in PARTS}
    total = sum(parts.values())
    shares = ", ".join(f"{part} {micros:.0f}" for part, micros in parts.items() if micros >= 1)
    return f"{total:.0f} µs CPU: {shares}"


def last_to_first(ats: list[float]) -> float:
    """How fast the last fifth of these starts went, the first being 1."""
    part = max(1, (len(ats) - 1) // PART)
    return (ats[part] - ats[0]) / (ats[-1] - ats[-1 - part])
