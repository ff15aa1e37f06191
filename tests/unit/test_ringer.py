"""The thread that rings: nobody waits for it, nothing that was asked for is left out."""

from __future__ import annotations

import threading

import pytest

from jobs_platform.delivery.ringer import LONG_PAUSE_SECONDS, PAUSE_SECONDS, Ringer
from tests.waiting import wait_until


class SlowBell:
    """Rings when it is let, and remembers what for."""

    def __init__(self) -> None:
        self.rung: list[tuple[str, int]] = []
        self.may_ring = threading.Event()

    def __call__(self, worker_queue: str, wanted: int) -> bool:
        self.may_ring.wait(timeout=10)
        self.rung.append((worker_queue, wanted))
        return True


def test_caller_does_not_wait_for_a_ring() -> None:
    bell = SlowBell()
    ringer = Ringer(bell)
    ringer.ring("default")
    assert bell.rung == []
    bell.may_ring.set()
    assert ringer.flush(seconds=5)
    assert bell.rung == [("default", 1)]


def test_wishes_during_a_ring_go_out_together() -> None:
    bell = SlowBell()
    ringer = Ringer(bell)
    ringer.ring("default")
    wait_until(lambda: ringer._is_ringing, timeout=5, message="the first ring has not begun")
    for wanted in (1, 5, 2):
        ringer.ring("default", wanted)
    ringer.ring("large-1x")
    bell.may_ring.set()
    assert ringer.flush(seconds=5)
    assert bell.rung == [("default", 1), ("default", 5), ("large-1x", 1)]


def test_flush_gives_up_at_its_deadline() -> None:
    bell = SlowBell()
    ringer = Ringer(bell)
    ringer.ring("default")
    assert ringer.flush(seconds=0.01) is False
    bell.may_ring.set()
    assert ringer.flush(seconds=5)


class Pauses(threading.Event):
    """Remembers how long it was asked to wait, and does not."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.seconds.append(timeout)
        return True


@pytest.mark.parametrize(
    ("was_needed", "seconds"), [(True, PAUSE_SECONDS), (False, LONG_PAUSE_SECONDS)]
)
def test_pause_is_longer_after_a_ring_that_nobody_needed(was_needed: bool, seconds: float) -> None:
    ringer = Ringer(lambda worker_queue, wanted: was_needed)
    ringer._is_ending = pauses = Pauses()
    ringer.ring("default")
    wait_until(lambda: pauses.seconds == [seconds], timeout=5, message="there was no such pause")
