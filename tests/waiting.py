"""Waiting for a condition with a deadline; the only place of the tests that sleeps."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

POLL_SECONDS = 0.02


def wait_until(
    condition: Callable[[], T], timeout: float = 10.0, message: str | Callable[[], str] = ""
) -> T:
    """Asks `condition` until it is true and returns its value; fails the test after `timeout`
    seconds.

    `message` says what was waited for; a callable is asked at the end and may tell what was seen
    instead.
    """
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > deadline:
            said = message() if callable(message) else message
            name = getattr(condition, "__qualname__", repr(condition))
            raise AssertionError(f"Waited {timeout:g} s for {said or name}; last value: {value!r}")
        time.sleep(POLL_SECONDS)
    return value
