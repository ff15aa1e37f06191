"""`Debounce`: of many triggers with one key, one run, made when they have become quiet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NoReturn

from jobs_platform.domain.durations import Duration, to_seconds
from jobs_platform.domain.errors import InvalidOptionError, close_matches, did_you_mean
from jobs_platform.sdk.texts import check_text

MAX_KEY_LENGTH = 512
MIN_DELAY_SECONDS = 0.001
MODES = ("trailing", "leading")


@dataclass(frozen=True, slots=True)
class Debounce:
    """Each trigger with this key pushes the DELAYED run of the key back by `delay`."""

    key: str
    """Unique for the task in its environment."""
    delay: Duration
    mode: Literal["trailing", "leading"] = "trailing"
    """Whether payload, metadata, tags and limits are the last trigger's or the first's."""
    max_delay: Duration | None = None
    """The run is not pushed back beyond this long after it was made; None: for ever."""

    def __post_init__(self) -> None:
        check_text("debounce key", self.key, limit=MAX_KEY_LENGTH)
        if self.mode not in MODES:
            hint = did_you_mean(close_matches(str(self.mode), MODES))
            _refuse("debounce mode", self.mode, f"is not one of {', '.join(MODES)}", hint)
        delay, longest = self.delay_seconds, self.max_delay_seconds
        if longest is not None and longest <= delay:
            _refuse(
                "debounce max_delay", self.max_delay, f"is not more than the delay {self.delay!r}"
            )

    @property
    def delay_seconds(self) -> float:
        return to_seconds(self.delay, name="debounce delay", minimum=MIN_DELAY_SECONDS)

    @property
    def max_delay_seconds(self) -> float | None:
        if self.max_delay is None:
            return None
        return to_seconds(self.max_delay, name="debounce max_delay", minimum=MIN_DELAY_SECONDS)


def _refuse(option: str, value: Any, reason: str, suggestion: str = "") -> NoReturn:
    raise InvalidOptionError(option=option, value=value, reason=reason, suggestion=suggestion)
