"""Cancelling: at once in the database, with all descendants, and told to those who execute."""

from __future__ import annotations

from uuid import UUID

import pytest
from django.db import transaction

from jobs_platform.domain.errors import RunNotFoundError
from jobs_platform.domain.ids import new_uuid
from jobs_platform.domain.lifecycle import Status
from jobs_platform.engine.cancel import cancel
from jobs_platform.engine.channels import CANCEL_CHANNEL
from jobs_platform.models import Attempt, HookCall
from tests.world import World, completed, retried, rolled_back


def notices(world: World, listener, *, seconds: float = 5.0) -> list[str]:
    """Notices that have come, or come within `seconds`: Postgres delivers them when it likes."""
    return listener.wait_for_notices(CANCEL_CHANNEL, seconds)[0]


def test_queued_run_is_cancelled_at_once(world: World) -> None:
    run_id = world.trigger()
    assert cancel(run_id, reason="not needed") is True
    row = world.row(run_id)
    assert (row.status, row.is_claimable) == (Status.CANCELED, False)
    assert row.finished_at is not None
    assert row.error == {"name": "Cancelled", "message": "not needed"}
    assert world.moves(run_id) == ["trigger", "cancel"]
    assert world.claim(limit=5) == ()
    world.check()


def test_executing_run_is_cancelled_and_its_worker_told(world: World) -> None:
    listener = world.new_line()
    assert notices(world, listener, seconds=0) == []
    run = world.executing()
    assert cancel(run.id) is True
    assert notices(world, listener) == [f"{run.id}:{run.fencing_token}"]
    row = world.row(run.id)
    assert (row.status, row.worker_id) == (Status.CANCELED, world.holder.worker_id)
    assert HookCall.objects.get().worker_id == world.holder.worker_id
    world.check()


def test_queued_run_is_nobodys_notice_and_anybodys_hook_call(world: World) -> None:
    listener = world.new_line()
    notices(world, listener, seconds=0)
    run_id = world.trigger(worker_queue="large")
    world.bell.rings.clear()
    cancel(run_id)
    assert notices(world, listener, seconds=0) == []
    assert world.bell.rings == [("large", 1)]
    assert HookCall.objects.get().worker_id is None


def test_run_between_two_attempts_belongs_to_no_worker_when_cancelled(world: World) -> None:
    run = world.executing()
    world.finish(retried(run, after=60.0))
    cancel(run.id)
    assert HookCall.objects.get().worker_id is None
    world.check()


def test_final_run_stays_as_it_is(world: World) -> None:
    run = world.executing()
    world.finish(completed(run))
    assert cancel(run.id) is False
    assert world.status(run.id) == Status.COMPLETED
    assert world.moves(run.id)[-1] == "complete"
    assert not HookCall.objects.exists()


def test_second_cancel_changes_nothing(world: World) -> None:
    run_id = world.trigger()
    assert cancel(run_id, reason="first")
    assert not cancel(run_id, reason="second")
    assert world.row(run_id).error["message"] == "first"
    assert world.moves(run_id) == ["trigger", "cancel"]
    assert HookCall.objects.count() == 1


def test_unknown_run_cannot_be_cancelled(world: World) -> None:
    with pytest.raises(RunNotFoundError):
        cancel(new_uuid())


def family(world: World) -> list[UUID]:
    """A run, its child, two grandchildren and a great-grandchild."""
    root = world.trigger()
    child = world.trigger(parent_id=root)
    first = world.trigger(parent_id=child)
    second = world.trigger(parent_id=child)
    return [root, child, first, second, world.trigger(parent_id=first)]


def test_descendants_are_cancelled_too(world: World) -> None:
    ids = family(world)
    stranger = world.trigger()
    assert cancel(ids[0])
    assert {world.status(run_id) for run_id in ids} == {Status.CANCELED}
    assert world.status(stranger) == Status.QUEUED
    world.check()


def test_ancestors_and_siblings_live_on(world: World) -> None:
    root, child, first, second, last = family(world)
    assert cancel(first)
    live = [world.status(run_id) for run_id in (root, child, second)]
    assert live == [Status.QUEUED] * 3
    assert world.status(last) == Status.CANCELED


def test_live_descendants_of_a_final_run_are_cancelled(world: World) -> None:
    """Whoever cancels a run that has just ended means what it started, too."""
    parent = world.executing()
    child = world.trigger(parent_id=parent.id)
    grandchild = world.trigger(parent_id=child)
    world.finish(completed(parent))
    assert cancel(parent.id) is False
    assert world.status(child) == Status.CANCELED
    assert world.status(grandchild) == Status.CANCELED
    assert world.status(parent.id) == Status.COMPLETED


def test_cancel_takes_part_in_the_callers_transaction(world: World) -> None:
    listener = world.new_line()
    notices(world, listener, seconds=0)
    run = world.executing()
    with rolled_back():
        cancel(run.id)
    assert world.status(run.id) == Status.EXECUTING
    assert notices(world, listener, seconds=0) == []
    with transaction.atomic():
        cancel(run.id)
        assert notices(world, listener, seconds=0) == []
    assert len(notices(world, listener)) == 1


def test_end_of_a_cancelled_attempt_is_recorded_once(world: World) -> None:
    run = world.executing()
    cancel(run.id)
    outcome = completed(run, cpu_seconds=0.5, peak_memory_bytes=7)
    assert world.stop_attempts(outcome) == {run.id}
    assert world.stop_attempts(outcome) == frozenset()
    attempt = Attempt.objects.get()
    assert (attempt.status, attempt.number) == (Status.CANCELED, 1)
    assert (attempt.cpu_seconds, attempt.peak_memory_bytes) == (0.5, 7)
    assert attempt.error["name"] == "Cancelled"


def test_attempt_that_was_not_cancelled_is_not_stopped(world: World) -> None:
    run = world.executing()
    assert world.stop_attempts(completed(run)) == frozenset()
    assert not Attempt.objects.exists()


def test_reason_that_cannot_be_stored_is_made_storable(world: World) -> None:
    run_id = world.trigger()
    assert cancel(run_id, reason="a\x00b\ud800")
    assert world.status(run_id) == Status.CANCELED
    assert "\x00" not in world.row(run_id).error["message"]


def test_what_a_cancelled_attempt_triggers_before_it_stops_is_cancelled_with_its_end(
    world: World,
) -> None:
    run = world.executing()
    cancel(run.id)
    late = world.trigger(parent_id=run.id)
    assert world.stop_attempts(completed(run)) == {run.id}
    assert world.status(late) == Status.CANCELED
    world.check()


def test_executing_child_of_a_cancelled_attempt_is_told(world: World) -> None:
    listener = world.new_line()
    run = world.executing()
    cancel(run.id)
    late = world.trigger(parent_id=run.id)
    child = world.claim_one()
    notices(world, listener, seconds=0)
    world.stop_attempts(completed(run))
    assert child.id == late
    assert notices(world, listener) == [f"{child.id}:{child.fencing_token}"]


def test_hook_call_of_an_executing_run_is_its_slots(world: World) -> None:
    run = world.executing()
    cancel(run.id)
    assert HookCall.objects.get().slot == world.holder.slot
