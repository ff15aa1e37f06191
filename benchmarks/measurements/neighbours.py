"""Thousands of short runs and a long one among them: whether it holds any of them up."""

from __future__ import annotations

from benchmarks.arena import Scene
from benchmarks.contenders import OURS
from benchmarks.findings import Section
from benchmarks.plan import Plan, Size

JOBS = Size(10_000, 5_000, 200)
LONG_SECONDS = Size(8, 6, 2)
PATIENCE_SECONDS = 120.0
MOST_SECONDS = 0.25


def measure(plan: Plan) -> Section:
    section = Section("Short runs beside a long one")
    overtaken: list[float] = []
    stored: list[float] = []
    behind: list[float] = []
    for contender in plan.rounds([OURS], section):
        with plan.scene(contender, section) as scene:
            long = _fill(scene, plan.number(JOBS), plan.number(LONG_SECONDS))
            plan.arena.settle()
            scene.start_workers()
            scene.wait_until_done(PATIENCE_SECONDS)
            starts = {start.number: start.at for start in scene.meter.starts()}
            ended = starts.pop(long) + plan.number(LONG_SECONDS)
            overtaken.append(_longest_overtaken(starts))
            behind.append(sum(at > ended for at in starts.values()))
            stored.append(float(scene.ask("slowest_short")))
    if overtaken:
        section.add("overtaken, the unluckiest", overtaken, "s")
        section.add("claimed to stored, the slowest", stored, "s")
        section.add("started only after the long one", behind, "runs")
    for subject in ("overtaken, the unluckiest", "claimed to stored, the slowest"):
        row = section.find(subject)
        target = f"{subject}: at most {MOST_SECONDS} s"
        section.hold(target, row.value if row else None, at_most=MOST_SECONDS)
    return section


def _fill(scene: Scene, jobs: int, seconds: float) -> int:
    """Half of the short ones, the long one, the other half; returns the long one's number."""
    scene.fill(jobs // 2)
    long = scene.take(1)
    scene.ask("trigger_long", number=long, seconds=seconds)
    scene.fill(jobs // 2)
    return long


def _longest_overtaken(starts: dict[int, float]) -> float:
    """How much later than a run that was queued after it any run started, at most."""
    earliest_behind = float("inf")
    longest = 0.0
    for number in sorted(starts, reverse=True):
        longest = max(longest, starts[number] - earliest_behind)
        earliest_behind = min(earliest_behind, starts[number])
    return longest
