"""How many runs a claim takes: one while a task is slow or unknown, more while they are short."""

from __future__ import annotations

WORTH_SECONDS = 0.02
"""A claim is to hold about this much work: long enough to pay for its commit, too short to hurt."""
MOST = 64
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
