"""When a failed attempt runs again. Owns the arithmetic; who may retry is decided elsewhere."""

from __future__ import annotations

import math
import random as random_module
from collections.abc import Callable
from dataclasses import dataclass

from jobs_platform.domain.errors import InvalidOptionError

MAX_ATTEMPTS_CAP = 250
"""No run is ever attempted more often, whatever is configured."""

LOST_ATTEMPT_SECONDS = 0.25
"""First delay after a worker died: the code did nothing wrong, so it need not wait long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Exponential backoff: `min(max, r · min · factor^(n-1))`, r in [1, 2) when randomised."""

    max_attempts: int = 3
    factor: float = 2.0
    min_timeout_seconds: float = 1.0
    max_timeout_seconds: float = 60.0
    randomize: bool = True
    out_of_memory_machine: str | None = None
    """Where an attempt that ran out of memory is tried once more; None: as after any failure."""

    def __post_init__(self) -> None:
        check_max_attempts(self.max_attempts, option="retry.max_attempts")
        _check_number("retry.factor", self.factor, minimum=1.0)
        _check_number("retry.min_timeout", self.min_timeout_seconds, minimum=0.0)
        _check_number("retry.max_timeout", self.max_timeout_seconds, minimum=0.0)
        if not isinstance(self.randomize, bool):
            _refuse("retry.randomize", self.randomize, "is not True or False")
        if self.max_timeout_seconds < self.min_timeout_seconds:
            reason = f"is below retry.min_timeout ({self.min_timeout_seconds:g} s)"
            _refuse("retry.max_timeout", self.max_timeout_seconds, reason)

    def delay_seconds(
        self, attempt_number: int, *, random: Callable[[], float] = random_module.random
    ) -> float:
        """How long to wait after attempt `attempt_number` (from 1) failed."""
        spread = 1.0 + random() if self.randomize else 1.0
        return self._grown(spread * self.min_timeout_seconds, attempt_number)

    def lost_attempt_delay_seconds(self, attempt_number: int) -> float:
        """How long to wait after the worker of attempt `attempt_number` (from 1) was lost."""
        return self._grown(LOST_ATTEMPT_SECONDS, attempt_number)

    def _grown(self, seconds: float, attempt_number: int) -> float:
        try:
            grown = seconds * self.factor ** (attempt_number - 1)
        except OverflowError:
            return self.max_timeout_seconds if seconds else 0.0
        return min(self.max_timeout_seconds, grown)


def check_max_attempts(value: int, *, option: str = "max_attempts") -> int:
    """`value` when it is a number of attempts the platform grants."""
    if isinstance(value, bool) or not isinstance(value, int):
        _refuse(option, value, "is not a whole number")
    if not 1 <= value <= MAX_ATTEMPTS_CAP:
        _refuse(option, value, f"is not between 1 and {MAX_ATTEMPTS_CAP}")
    return value


def _check_number(option: str, value: float, *, minimum: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        _refuse(option, value, "is not a finite number")
    if value < minimum:
        _refuse(option, value, f"is less than {minimum:g}")


def _refuse(option: str, value: object, reason: str) -> None:
    raise InvalidOptionError(option=option, value=value, reason=reason)
