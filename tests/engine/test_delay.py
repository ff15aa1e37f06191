"""Delays: accepted, moved on when they are over, changed, cancelled."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from jobs_platform.domain.errors import RunNotDelayedError, RunNotFoundError
from jobs_platform.domain.ids import new_uuid
from jobs_platform.domain.lifecycle import Status
from jobs_platform.engine.cancel import cancel
from jobs_platform.engine.channels import DUE_CHANNEL
from jobs_platform.engine.due import what_is_due
from jobs_platform.engine.queue_due import queue_due
from jobs_platform.engine.reschedule import reschedule
from jobs_platform.sdk.queue import Queue
from tests.world import World, retried, rolled_back

PAST = datetime(2001, 1, 1, tzinfo=UTC)


def look(world: World) -> float | None:
    return what_is_due(world.line, environment_id=world.environment_id).seconds_until_next


def move_on(world: World, **options: int) -> int:
    return queue_due(world.line, environment_id=world.environment_id, **options).count


def let_pass(world: World) -> None:
    world.sql("UPDATE jobs_run SET run_at = now() - interval '1 second' WHERE is_timed")


@pytest.mark.parametrize("in_batch", [False, True])
def test_delayed_run_is_not_claimable_until_its_time_has_come(world: World, in_batch: bool) -> None:
    if in_batch:
        (run_id,) = world.trigger_many(1, delay_seconds=60.0)
    else:
        run_id = world.trigger(delay_seconds=60.0)
    row = world.row(run_id)
    assert (row.status, row.is_timed, row.is_claimable) == (Status.DELAYED, True, False)
    assert (row.run_at - row.created_at).total_seconds() == pytest.approx(60.0, abs=1.0)
    assert world.claim(limit=5) == ()
    assert world.bell.rings == []
    assert move_on(world) == 0
    let_pass(world)
    assert move_on(world) == 1
    assert world.claim_one().id == run_id
    assert world.moves(run_id) == ["trigger_delayed", "queue", "claim"]
    world.check()


def test_delay_may_be_an_instant(world: World) -> None:
    until = datetime.now(UTC) + timedelta(days=3)
    row = world.row(world.trigger(delay_until=until))
    assert row.status == Status.DELAYED
    assert abs(row.run_at - until) < timedelta(milliseconds=1)


@pytest.mark.parametrize("delay", [{"delay_until": PAST}, {"delay_seconds": 0.0}])
def test_instant_that_is_past_means_now_and_not_before_others(
    world: World, delay: dict[str, object]
) -> None:
    before = world.trigger()
    late = world.trigger(**delay)
    assert [run.id for run in world.claim(limit=2)] == [before, late]
    assert world.moves(late) == ["trigger", "claim"]
    assert world.bell.counts["default"] == 2


def test_priority_counts_from_the_end_of_the_delay(world: World) -> None:
    run_id = world.trigger(delay_seconds=60.0, priority_seconds=10.0)
    let_pass(world)
    due_at = world.row(run_id).run_at
    move_on(world)
    assert (due_at - world.row(run_id).run_at).total_seconds() == 10.0


def test_time_to_live_begins_when_the_delay_is_over(world: World) -> None:
    run_id = world.trigger(delay_seconds=60.0, ttl_seconds=5.0)
    assert world.row(run_id).expires_at is None
    let_pass(world)
    move_on(world)
    left = world.row(run_id).expires_at - datetime.now(UTC)
    assert 0 < left.total_seconds() <= 6.0


def test_delays_are_moved_on_in_their_order_within_the_limit(world: World) -> None:
    ids = [world.trigger(delay_seconds=60.0 - n) for n in range(4)]
    world.sql("UPDATE jobs_run SET run_at = run_at - interval '1 hour'")
    assert move_on(world, limit=3) == 3
    assert world.status(ids[0]) == Status.DELAYED
    assert move_on(world, limit=3) == 1
    assert [run.id for run in world.claim(limit=4)] == ids[::-1]
    assert move_on(world) == 0


def test_delayed_run_of_a_limited_queue_waits_for_its_slot(world: World) -> None:
    run_id = world.trigger(delay_seconds=60.0, queue="q", queue_limits=Queue("q", 1))
    let_pass(world)
    queued = queue_due(world.line, environment_id=world.environment_id)
    assert (queued.claimable, queued.waiting) == ({}, {"q": [""]})
    row = world.row(run_id)
    assert (row.status, row.is_waiting, row.is_claimable) == (Status.QUEUED, True, False)
    world.check()


def test_delayed_run_with_a_key_waits_for_its_slot(world: World) -> None:
    world.trigger(delay_seconds=60.0, queue="q", concurrency_keys=("a", "b"))
    world.trigger(delay_seconds=60.0, worker_queue="large")
    let_pass(world)
    queued = queue_due(world.line, environment_id=world.environment_id)
    assert (queued.count, queued.claimable, queued.waiting) == (2, {"large": 1}, {"q": ["a"]})


def test_retry_that_needs_a_slot_waits_without_a_move(world: World) -> None:
    run = world.executing()
    world.finish(retried(run, after=60.0))
    world.sql("UPDATE jobs_run SET is_claimable = false, is_timed = true, needs_slot = true")
    moves = world.moves(run.id)
    let_pass(world)
    queued = queue_due(world.line, environment_id=world.environment_id)
    assert (queued.count, queued.waiting) == (1, {"task": [""]})
    row = world.row(run.id)
    assert (row.is_waiting, row.is_timed, world.moves(run.id)) == (True, False, moves)
    world.check()


def test_the_clock_foresees_a_delay_and_sees_that_it_is_over(world: World) -> None:
    world.trigger(delay_seconds=30.0)
    assert look(world) == pytest.approx(30.0, abs=5.0)
    let_pass(world)
    assert what_is_due(world.line, environment_id=world.environment_id).has_timed


@pytest.mark.parametrize(("delay", "is_told"), [(0.5, True), (5.0, False)])
def test_the_clock_is_woken_for_a_delay_under_a_second(
    world: World, delay: float, is_told: bool
) -> None:
    listener = psycopg.connect(world.conninfo, autocommit=True)
    with listener:
        listener.execute(f"LISTEN {DUE_CHANNEL}")
        world.trigger(delay_seconds=delay)
        assert bool(list(listener.notifies(timeout=0.2, stop_after=1))) is is_told


def test_rollback_takes_a_delay_back(world: World) -> None:
    with rolled_back():
        world.trigger(delay_seconds=0.1)
    assert look(world) is None


def test_reschedule_gives_a_delayed_run_another_time(world: World) -> None:
    run_id = world.trigger(delay_seconds=60.0)
    reschedule(run_id, delay_seconds=3_600.0, delay_until=None)
    assert look(world) == pytest.approx(3_600.0, abs=10.0)
    reschedule(run_id, delay_seconds=None, delay_until=PAST)
    assert move_on(world) == 1
    assert world.moves(run_id) == ["trigger_delayed", "reschedule", "reschedule", "queue"]
    world.check()


def test_reschedule_of_a_run_that_is_not_delayed_is_refused(world: World) -> None:
    run_id = world.trigger()
    with pytest.raises(RunNotDelayedError, match="is QUEUED"):
        reschedule(run_id, delay_seconds=60.0, delay_until=None)
    with pytest.raises(RunNotFoundError):
        reschedule(new_uuid(), delay_seconds=60.0, delay_until=None)
    assert world.moves(run_id) == ["trigger"]


def test_cancelled_delay_is_never_moved_on(world: World) -> None:
    run_id = world.trigger(delay_seconds=60.0)
    assert cancel(run_id)
    row = world.row(run_id)
    assert (row.status, row.is_timed) == (Status.CANCELED, False)
    assert look(world) is None
    assert move_on(world) == 0
    world.check()


def test_cancelled_run_no_longer_waits_for_a_slot(world: World) -> None:
    world.sql(
        "INSERT INTO jobs_queue (environment_id, name, concurrency_limit, paused_at) "
        "VALUES (%s, 'q', 1, now())",
        [world.environment_id],
    )
    run_id = world.trigger(queue="q", ttl_seconds=60.0)
    assert world.row(run_id).is_waiting
    assert cancel(run_id)
    row = world.row(run_id)
    assert (row.is_waiting, row.expires_at) == (False, None)
