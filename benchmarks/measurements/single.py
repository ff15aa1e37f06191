"""One trigger, in the place of one `.delay()`: how long the caller waits."""

from __future__ import annotations

from contextlib import ExitStack

from benchmarks.contenders import ALL, CELERY, OURS
from benchmarks.findings import Section
from benchmarks.plan import Plan, Size

JOBS = Size(1_000, 500, 10)
BLOCK = 50
"""Contenders take turns after so many."""


def measure(plan: Plan) -> Section:
    section = Section("One trigger")
    waits: dict[str, list[float]] = {}
    once = plan.repeated(1)
    with ExitStack() as stack:
        scenes = [
            (contender, stack.enter_context(plan.arena.scene(contender)))
            for contender in once.rounds(ALL, section)
        ]
        for _, scene in scenes:
            scene.trigger(BLOCK)
        for _ in range(0, plan.number(JOBS) * plan.repetitions, BLOCK):
            for contender, scene in scenes:
                instants = scene.trigger(BLOCK)
                mean = (instants[-1] - instants[0]) / BLOCK
                waits.setdefault(contender.title, []).append(mean * 1e6)
    for title, found in waits.items():
        section.add(title, found, "µs")
    section.compare(CELERY.title)
    section.judge("as long as .delay() at most", OURS.title, CELERY.title, at_most=1)
    section.notes.append("No workers run: the caller's wait alone.")
    return section
