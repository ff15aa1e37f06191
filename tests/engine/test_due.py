"""What the clock sees: exactly what waits for it, and nothing that cannot be helped."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jobs_platform.engine.cancel import cancel
from jobs_platform.engine.due import Due, what_is_due
from jobs_platform.engine.fire import fire_due
from jobs_platform.engine.recover import recover_lost_workers
from tests.engine.declaring import due_schedule
from tests.world import World, retried

NOTHING = Due((), (), has_lost_workers=False, has_schedules=False, seconds_until_next=None)


def look(world: World) -> Due:
    return what_is_due(world.line, environment_id=world.environment_id)


def test_nothing_is_due_in_an_idle_world(world: World) -> None:
    assert look(world) == NOTHING


def test_claimable_runs_are_seen_by_worker_queue(world: World) -> None:
    for worker_queue in ("c", "a", "b", "a"):
        world.trigger(worker_queue=worker_queue)
    world.trigger(worker_queue="theirs", environment="staging")
    assert look(world).claimable == ("a", "b", "c")


def test_executing_runs_are_not_claimable(world: World) -> None:
    world.executing()
    assert look(world) == NOTHING


def test_retry_ahead_is_foreseen(world: World) -> None:
    run = world.executing()
    world.finish(retried(run, after=30.0))
    due = look(world)
    assert due.claimable == ()
    assert due.seconds_until_next == pytest.approx(30.0, abs=10.0)


def test_retry_ahead_does_not_hide_what_is_due(world: World) -> None:
    run = world.executing()
    world.finish(retried(run, after=30.0))
    world.trigger()
    assert look(world).claimable == ("default",)


def test_lost_worker_is_seen_until_it_is_recovered(world: World) -> None:
    world.executing()
    world.end_lease()
    assert look(world).has_lost_workers
    recover_lost_workers(world.line)
    assert not look(world).has_lost_workers


def test_lost_worker_that_held_nothing_is_seen_once(world: World) -> None:
    world.end_lease()
    recover_lost_workers(world.line)
    assert look(world) == NOTHING


def test_claim_that_a_stopped_worker_left_is_seen(world: World) -> None:
    """A claim may commit while its worker is being recovered."""
    world.executing()
    world.sql("UPDATE jobs_worker SET stopped_at = now()")
    assert look(world).has_lost_workers
    recover_lost_workers(world.line)
    assert not look(world).has_lost_workers


def test_hook_call_that_nobody_makes_is_seen(world: World) -> None:
    cancel(world.trigger(worker_queue="large"))
    assert look(world).hook_calls == ("large",)


def test_hook_call_of_a_live_worker_is_not_due_until_that_is_lost(world: World) -> None:
    cancel(world.executing().id)
    assert look(world).hook_calls == ()
    world.end_lease()
    assert look(world).hook_calls == ("default",)


def test_due_schedule_is_seen_until_it_has_fired(world: World) -> None:
    due_schedule(world)
    assert look(world).has_schedules
    fire_due(world.line, environment_id=world.environment_id)
    due = look(world)
    assert not due.has_schedules
    assert 0 < due.seconds_until_next <= 600


def test_schedule_ahead_is_foreseen(world: World) -> None:
    due_schedule(world)
    world.sql("UPDATE jobs_schedule SET next_fire_at = now() + interval '1 minute'")
    due = look(world)
    assert not due.has_schedules
    assert 0 < due.seconds_until_next <= 60


def test_schedule_whose_task_is_in_nobodys_code_is_not_due(world: World) -> None:
    due_schedule(world)
    world.sql("UPDATE jobs_worker SET task_ids = '{}'")
    assert look(world) == NOTHING


def test_runs_that_wait_for_a_slot_are_seen(world: World) -> None:
    world.trigger()
    world.sql("UPDATE jobs_run SET is_claimable = false, is_waiting = true")
    assert look(world) == replace(NOTHING, has_waiting=True)


def test_the_next_start_of_a_rate_limit_is_foreseen_unless_its_queue_is_paused(
    world: World,
) -> None:
    world.sql(
        "INSERT INTO jobs_queue (environment_id, name, admit_at)"
        " VALUES (%s, 'q', now() + interval '0.4 seconds')",
        [world.environment_id],
    )
    assert 0 < look(world).seconds_until_next <= 0.4
    world.sql("UPDATE jobs_queue SET admit_at = now()")
    assert look(world).has_waiting
    world.sql("UPDATE jobs_queue SET paused_at = now()")
    assert look(world) == NOTHING
