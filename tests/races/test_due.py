"""The clock against those who claim, push back, reschedule and cancel at the same moment."""

from __future__ import annotations

from uuid import UUID

import pytest
from django.db import transaction

from jobs_platform.domain.errors import RunNotDelayedError
from jobs_platform.domain.lifecycle import Status
from jobs_platform.engine.cancel import cancel
from jobs_platform.engine.expire_due import expire_due
from jobs_platform.engine.line import Line
from jobs_platform.engine.queue_due import queue_due
from jobs_platform.engine.reschedule import reschedule
from jobs_platform.engine.trigger import trigger
from jobs_platform.sdk.debounce import Debounce
from jobs_platform.sdk.ports import Triggered
from tests.races.beside import TIMEOUT, Beside
from tests.world import World, request, retried, rolled_back


def debounced() -> Triggered:
    return trigger(request(debounce=Debounce("k", "1h")))


def due_debounced(world: World) -> UUID:
    run_id = debounced().id
    make_due(world)
    return run_id


def make_due(world: World) -> None:
    world.sql("UPDATE jobs_run SET run_at = now() - interval '1 second' WHERE is_timed")


def make_expired(world: World) -> UUID:
    run_id = world.trigger(ttl_seconds=60.0)
    world.sql("UPDATE jobs_run SET expires_at = now() + interval '1 minute'")
    return run_id


def let_expire(world: World, line: Line | None = None) -> int:
    return expire_due(line or world.line, environment_id=world.environment_id).count


def move_on(world: World, line: Line | None = None) -> int:
    return queue_due(line or world.line, environment_id=world.environment_id).count


def test_push_back_that_comes_after_the_clock_makes_another_run(
    world: World, beside: Beside
) -> None:
    first = due_debounced(world)
    line = world.new_line()
    with line.transaction():
        assert move_on(world, line) == 1
        pushing = beside.start_blocked(debounced)
    answer = pushing.result(TIMEOUT)
    assert not answer.is_cached
    assert (world.status(first), world.status(answer.id)) == (Status.QUEUED, Status.DELAYED)
    world.check()


def test_push_back_that_comes_before_the_clock_wins(world: World) -> None:
    first = due_debounced(world)
    with transaction.atomic():
        assert debounced().id == first
        assert move_on(world) == 0  # it waits for nobody
    assert move_on(world) == 0
    assert world.moves(first) == ["trigger_delayed", "debounce"]
    world.check()


def test_push_back_that_is_rolled_back_leaves_the_run_to_the_clock(world: World) -> None:
    first = due_debounced(world)
    with rolled_back():
        debounced()
        assert move_on(world) == 0
    assert move_on(world) == 1
    assert world.moves(first) == ["trigger_delayed", "queue"]


def test_two_clocks_move_each_run_on_once(world: World) -> None:
    ids = {world.trigger(delay_seconds=60.0) for _ in range(20)}
    make_due(world)
    line = world.new_line()
    with line.transaction():
        assert queue_due(line, environment_id=world.environment_id, limit=12).count == 12
        assert move_on(world) == 8
    assert {run.id for run in world.claim(limit=40)} == ids
    world.check()


def test_reschedule_after_the_clock_is_refused(world: World, beside: Beside) -> None:
    run_id = due_debounced(world)
    line = world.new_line()
    with line.transaction():
        move_on(world, line)
        late = beside.start_blocked(
            lambda: reschedule(run_id, delay_seconds=60.0, delay_until=None)
        )
    with pytest.raises(RunNotDelayedError):
        late.result(TIMEOUT)
    assert world.status(run_id) == Status.QUEUED


def test_reschedule_before_the_clock_wins(world: World) -> None:
    run_id = due_debounced(world)
    with transaction.atomic():
        reschedule(run_id, delay_seconds=60.0, delay_until=None)
        assert move_on(world) == 0
    assert move_on(world) == 0
    assert world.status(run_id) == Status.DELAYED


def test_cancel_of_a_due_run_wins_over_the_clock(world: World) -> None:
    run_id = due_debounced(world)
    with transaction.atomic():
        cancel(run_id)
        assert move_on(world) == 0
    assert move_on(world) == 0
    assert world.status(run_id) == Status.CANCELED


def test_claim_before_the_expiry_wins(world: World) -> None:
    """The claim was in time; the clock sees the run when its time has passed meanwhile."""
    run_id = make_expired(world)
    line = world.new_line()
    with line.transaction():
        assert world.claim_one(line=line).id == run_id
        assert let_expire(world) == 0
    assert let_expire(world) == 0
    assert world.row(run_id).expires_at is None
    assert world.status(run_id) == Status.EXECUTING
    world.check()


def test_claim_whose_run_expires_before_it_commits_wins(world: World, beside: Beside) -> None:
    run_id = world.trigger(ttl_seconds=0.3)
    line = world.new_line()
    with line.transaction():
        assert world.claim_one(line=line).id == run_id
        world.sql("SELECT pg_sleep(0.4)")
        assert let_expire(world) == 0
    assert let_expire(world) == 0
    assert world.status(run_id) == Status.EXECUTING
    world.check()


def test_expiry_before_the_claim_wins(world: World) -> None:
    run_id = make_expired(world)
    line = world.new_line()
    with line.transaction():
        line.connection.execute("UPDATE jobs_run SET expires_at = now() - interval '1 second'")
        assert let_expire(world, line) == 1
        assert world.claim(limit=5) == ()
    assert world.claim(limit=5) == ()
    assert world.status(run_id) == Status.EXPIRED
    world.check()


def test_cancel_before_the_expiry_wins(world: World) -> None:
    run_id = make_expired(world)
    world.sql("UPDATE jobs_run SET expires_at = now() - interval '1 second'")
    with transaction.atomic():
        cancel(run_id)
        assert let_expire(world) == 0
    assert let_expire(world) == 0
    assert world.status(run_id) == Status.CANCELED


def test_retry_of_a_run_with_a_time_to_live_never_expires(world: World) -> None:
    run_id = make_expired(world)
    run = world.claim_one()
    world.finish(retried(run))
    assert world.row(run_id).expires_at is None
    assert let_expire(world) == 0
