"""How many runs a claim takes, and how soon the next one follows."""

from __future__ import annotations

import pytest

from jobs_platform.runtime import pace
from jobs_platform.runtime.pace import BURST, DISTANCE_SECONDS, MOST, Distance, Pace


class Clock:
    """Stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(pace, "time", clock)
    return clock


def test_claims_double_while_runs_are_short() -> None:
    limits = []
    at = Pace()
    for _ in range(8):
        limits.append(at.limit)
        at.observe(at.limit, at.limit * 1e-4)
    assert limits == [1, 2, 4, 8, 16, 32, MOST, MOST]


def test_claims_are_worth_twenty_milliseconds() -> None:
    at = Pace()
    for _ in range(20):
        at.observe(at.limit, at.limit * 0.005)
    assert at.limit == 4


def test_a_slow_run_makes_the_next_claim_careful() -> None:
    at = Pace()
    for _ in range(5):
        at.observe(at.limit, at.limit * 1e-4)
    at.be_careful()
    assert at.limit == 1


def test_runs_that_come_now_and_then_are_never_held_up(clock: Clock) -> None:
    distance = Distance()
    for _ in range(1_000):
        clock.now += 0.011
        distance.observe(1, is_full=False)
        assert distance.seconds == 0


def test_a_short_burst_is_not_held_up(clock: Clock) -> None:
    distance = Distance()
    for _ in range(BURST):
        distance.observe(1, is_full=False)
        assert distance.seconds == 0


def test_runs_that_come_fast_share_claims(clock: Clock) -> None:
    distance = Distance()
    for _ in range(BURST):
        clock.now += 0.001
        distance.observe(2, is_full=False)
    assert distance.seconds == pytest.approx(DISTANCE_SECONDS)
    clock.now += DISTANCE_SECONDS
    assert distance.seconds == 0


def test_a_backlog_is_not_held_up(clock: Clock) -> None:
    distance = Distance()
    for _ in range(20):
        distance.observe(MOST, is_full=True)
    assert distance.seconds == 0


def test_silence_is_soon_forgiven(clock: Clock) -> None:
    distance = Distance()
    for _ in range(20):
        distance.observe(MOST, is_full=True)
    clock.now += 1
    distance.observe(1, is_full=False)
    assert distance.seconds == 0
