"""How many runs a claim takes, and how soon the next one follows.

One run while a task is slow or unknown, more while they are short. Where short runs trickle in
faster than they can be claimed one by one, claims keep a distance, so that each finds several.
"""

from __future__ import annotations

import time

WORTH_SECONDS = 0.02
"""A claim is to hold about this much work: long enough to pay for its commit, too short to hurt."""
MOST = 64
DISTANCE_SECONDS = 0.02
CALM_PER_SECOND = 100.0
BURST = 50
_WEIGHT = 0.3


class Pace:
    """The size of the next claim, from how long the runs of the last ones took."""

    __slots__ = ("_latest", "_seconds_per_run", "limit")

    def __init__(self) -> None:
        self.limit = 1
        self._seconds_per_run: float | None = None
        self._latest: dict[str, float] = {}

    def observe_run(self, task_id: str, seconds: float) -> None:
        """Take note of how long a run of this task took."""
        self._latest[task_id] = seconds

    def is_short(self, task_id: str) -> bool:
        """Whether runs of this task are known to be over soon."""
        return self._latest.get(task_id, WORTH_SECONDS) < WORTH_SECONDS

    def observe(self, runs: int, seconds: float) -> None:
        """Take note of a finished claim; the next one at most doubles."""
        if not runs:
            return
        latest = seconds / runs
        known = self._seconds_per_run
        self._seconds_per_run = latest if known is None else known + _WEIGHT * (latest - known)
        worth = int(WORTH_SECONDS / max(self._seconds_per_run, 1e-6))
        self.limit = max(1, min(worth, self.limit * 2, MOST))

    def be_careful(self) -> None:
        """A run turned out to be slow: know nothing again."""
        self.limit = 1
        self._seconds_per_run = None


class Distance:
    """Between claims that find less than they could take, where runs come fast.

    Up to a hundred a second, or a short burst, each run is claimed and finished at once; beyond
    that several share a commit, at the price of `DISTANCE_SECONDS` at most.
    """

    __slots__ = ("_is_full", "_level", "_seen_at")

    def __init__(self) -> None:
        self._level = 0.0
        self._is_full = False
        self._seen_at = time.monotonic()

    def observe(self, runs: int, *, is_full: bool) -> None:
        """Take note of a claim."""
        now = time.monotonic()
        calm = self._level - CALM_PER_SECOND * (now - self._seen_at)
        self._level = min(2 * BURST, max(0.0, calm) + runs)
        self._is_full, self._seen_at = is_full, now

    @property
    def seconds(self) -> float:
        """How long the next claim should wait from now."""
        if self._is_full or self._level <= BURST:
            return 0.0
        return max(0.0, self._seen_at + DISTANCE_SECONDS - time.monotonic())
