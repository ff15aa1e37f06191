"""The hand is shared by two threads, and nothing in it is lost or doubled."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from jobs_platform.domain.ids import new_uuid
from jobs_platform.domain.lifecycle import Status
from jobs_platform.engine.handoff import ClaimedRun, Outcome
from jobs_platform.runtime.hand import Hand
from tests.world import completed

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def claimed(count: int) -> list[ClaimedRun]:
    run = ClaimedRun(
        new_uuid(), 1, "task", "{}", 1, 3, "dev", "task", "default", 0.0, (), {}, False, None, 2,
        NOW, NOW, NOW, None, None, None, None, None,
    )  # fmt: skip
    return [replace(run, id=new_uuid()) for _ in range(count)]


@pytest.fixture
def hand() -> Hand:
    return Hand()


def test_runs_are_started_in_their_order(hand: Hand) -> None:
    runs = claimed(3)
    hand.take(runs)
    assert [hand.next(), hand.next(), hand.next(), hand.next()] == [*runs, None]
    assert (hand.claimed, hand.started) == (3, 3)


def test_current_run_is_known_until_it_is_recorded(hand: Hand) -> None:
    (run,) = claimed(1)
    hand.take([run])
    assert hand.current is None
    hand.next()
    assert hand.current[0] == run
    assert hand.busy_since == hand.current[1]
    hand.record(completed(run))
    assert (hand.current, hand.busy_since) == (None, None)
    assert hand.take_outcomes() == [completed(run)]
    assert hand.take_outcomes() == []


def test_outcomes_that_were_put_back_stay_before_newer_ones(hand: Hand) -> None:
    first, second = claimed(2)
    hand.record(completed(first))
    taken = hand.take_outcomes()
    hand.record(completed(second))
    hand.put_back(taken)
    assert [outcome.run_id for outcome in hand.take_outcomes()] == [first.id, second.id]


def test_dropped_runs_are_not_started_and_not_forgotten_before_they_are_given_back(
    hand: Hand,
) -> None:
    first, *others = claimed(3)
    hand.take([first, *others])
    hand.next()
    assert hand.drop_unstarted() == others
    assert hand.drop_unstarted() == others
    assert hand.next() is None
    assert hand.claimed == 1
    hand.forget_dropped(others)
    assert hand.drop_unstarted() == []


def test_cancelled_run_is_passed_over_and_counts_as_started(hand: Hand) -> None:
    """The keeper counts by the order of the claim."""
    first, cancelled, last = claimed(3)
    hand.take([first, cancelled, last])
    hand.cancel(cancelled.id)
    assert [hand.next(), hand.next()] == [first, last]
    assert hand.started == 3
    assert hand.take_outcomes() == [Outcome(cancelled.id, 1, Status.CANCELED)]


def test_notice_that_comes_before_its_run_counts_all_the_same(hand: Hand) -> None:
    early, other = claimed(2)
    hand.cancel(early.id)
    hand.take([early, other])
    assert hand.next() == other


def test_notice_of_a_run_that_never_comes_is_forgotten(hand: Hand) -> None:
    (run,) = claimed(1)
    hand.cancel(run.id)
    hand.take([])
    hand.take([run])
    assert hand.next() == run


def test_hooks_count_as_work(hand: Hand) -> None:
    assert hand.begin_hooks() == hand.busy_since
    hand.end_hooks()
    assert hand.busy_since is None


@pytest.mark.parametrize("round_number", range(3))
def test_every_run_is_executed_or_dropped_and_written_once(hand: Hand, round_number: int) -> None:
    """The executing thread against two that take and drop, at every switch of the interpreter."""
    runs = claimed(400)
    hand.take(runs)
    written: list[Outcome] = []
    dropped: dict[object, ClaimedRun] = {}
    executed: list[ClaimedRun] = []
    is_over = threading.Event()

    def execute() -> None:
        while (run := hand.next()) is not None:
            executed.append(run)
            hand.record(completed(run))
            if len(executed) == 300:
                drop.set()
        is_over.set()

    def write(can_write: bool) -> None:
        while not is_over.is_set():
            taken = hand.take_outcomes()
            if can_write:
                written.extend(taken)
            else:
                hand.put_back(taken)
            if drop.is_set():
                dropped.update({run.id: run for run in hand.drop_unstarted()})

    drop = threading.Event()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(3) as pool:
            calls = [pool.submit(write, True), pool.submit(write, False), pool.submit(execute)]
        for call in calls:
            call.result()
    finally:
        sys.setswitchinterval(interval)
    written.extend(hand.take_outcomes())
    assert Counter(outcome.run_id for outcome in written) == Counter(run.id for run in executed)
    assert {run.id for run in executed} | set(dropped) == {run.id for run in runs}
    assert not {run.id for run in executed} & set(dropped)
