"""Many triggers at once, beside as many `.delay()`: how long the caller waits for each."""

from __future__ import annotations

from contextlib import ExitStack

from benchmarks.contenders import CELERY, OURS, PGQUEUER, PROCRASTINATE
from benchmarks.findings import Section
from benchmarks.plan import Plan, Size

ITEMS = Size(5_000, 5_000, 50)
DELAYS = Size(250, 250, 10)
ROUNDS = Size(10, 5, 1)


def measure(plan: Plan) -> Section:
    section = Section("Many triggers at once, for each item")
    waits: dict[str, list[float]] = {}
    items, delays = plan.number(ITEMS), plan.number(DELAYS)
    wanted = (OURS, CELERY, PROCRASTINATE, PGQUEUER)
    with ExitStack() as stack:
        scenes = [
            (contender, stack.enter_context(plan.arena.scene(contender)))
            for contender in plan.repeated(1).rounds(wanted, section)
        ]
        for _ in range(plan.number(ROUNDS)):
            for contender, scene in scenes:
                if contender is CELERY:
                    instants = scene.trigger(delays)
                    each = (instants[-1] - instants[0]) / delays * 1e6
                    waits.setdefault("Celery, .delay()", []).append(each)
                title = "Celery, in a pipeline" if contender is CELERY else contender.title
                waits.setdefault(title, []).append(scene.fill(items) / items * 1e6)
    for title, found in waits.items():
        section.add(title, found, "µs")
    section.compare("Celery, .delay()")
    section.judge("a twentieth of .delay() at most", OURS.title, "Celery, .delay()", at_most=1 / 20)
    return section
