"""From where on a claim looks at the queue's index, so that it need not step over dead entries.

The entries of runs that were claimed before stay in the index until a vacuum may remove them:
never, while somebody holds an old transaction open. So a slot goes on from where it was, and looks
from the beginning, for retries, priorities and triggers that committed late, only as often as that
is cheap.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta

from jobs_platform.engine.claim import LONG_AGO

SLACK = timedelta(milliseconds=100)
"""A trigger may commit so much later than it began and still be seen at once."""
BUSY_SECONDS = 1.0
"""While there is plenty to claim, looks from the beginning are at least so far apart."""
_SHARE, _SHARE_WHEN_TOLD = 20, 4
"""They take a twentieth of the time at most; a quarter where runs are known to be behind."""


class LowWater:
    """One slot's place in the queue."""

    __slots__ = ("_cost", "_looked_at", "mark")

    def __init__(self) -> None:
        self.mark = LONG_AGO
        self._looked_at = 0.0
        self._cost = 0.0

    @property
    def is_beginning(self) -> bool:
        """Whether the next claim looks from the beginning."""
        return self.mark == LONG_AGO

    def rewind(self, *, is_told: bool = False) -> bool:
        """Look from the beginning next, if that is cheap enough by now; False when it is not."""
        share = _SHARE_WHEN_TOLD if is_told else _SHARE
        if time.monotonic() - self._looked_at >= share * self._cost:
            self.mark = LONG_AGO
        return self.is_beginning

    def observe(self, earliest: datetime | None, *, is_full: bool, seconds: float) -> None:
        """A claim took `seconds` and found runs from `earliest` on, as many as it wanted or not."""
        now = time.monotonic()
        if self.is_beginning:
            self._looked_at, self._cost = now, seconds
        if is_full and earliest is not None:
            self.mark = earliest - SLACK
            if now - self._looked_at >= BUSY_SECONDS:
                self.rewind()
        else:
            self.rewind()
