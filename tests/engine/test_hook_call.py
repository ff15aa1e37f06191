"""Final hooks are owed from the final move on, to one caller at a time, and not for ever."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from jobs_platform.engine.cancel import cancel
from jobs_platform.engine.due import what_is_due
from jobs_platform.engine.environments import environment_id
from jobs_platform.engine.hook_call import MAX_TRIES, claim_hook_calls, finish_hook_calls
from jobs_platform.engine.recover import recover_lost_workers, recover_slot, recover_worker
from jobs_platform.models import HookCall
from tests.world import World, completed


def owed(world: World, **options: object) -> UUID:
    run_id = world.trigger(**options)
    cancel(run_id)
    return run_id


def take(world: World, holder=None, worker_queue: str = "default", **options) -> list[UUID]:
    return claim_hook_calls(
        world.line, holder or world.holder, worker_queue=worker_queue, **options
    )


def test_hook_call_is_taken_once(world: World) -> None:
    run_id = owed(world)
    assert take(world) == [run_id]
    assert take(world) == []
    assert take(world, world.new_worker()) == []
    finish_hook_calls(world.line, [run_id])
    assert not HookCall.objects.exists()


def test_hook_call_stays_within_its_environment_and_worker_queue(world: World) -> None:
    owed(world)
    staging = replace(world.holder, environment_id=environment_id("staging"))
    assert take(world, staging) == []
    assert take(world, worker_queue="large") == []
    assert len(take(world)) == 1


def test_hook_call_of_a_worker_is_its_own_until_it_is_lost(world: World) -> None:
    run = world.executing()
    world.finish(completed(run, has_final_hooks=True))
    successor = world.new_worker()
    assert take(world, successor) == []
    world.end_lease()
    assert take(world, successor) == [run.id]


def test_hook_call_of_a_stopped_worker_is_taken_by_another(world: World) -> None:
    run_id = owed(world)
    assert take(world) == [run_id]
    recover_worker(world.line, world.holder.worker_id)
    assert take(world, world.new_worker()) == [run_id]


def test_hook_call_that_kills_its_workers_is_given_up(world: World) -> None:
    run_id = owed(world)
    for _ in range(MAX_TRIES):
        holder = world.new_worker()
        assert take(world, holder) == [run_id]
        recover_worker(world.line, holder.worker_id)
    assert take(world) == []
    assert what_is_due(world.line, environment_id=world.environment_id).hook_calls == ()


def test_no_more_hook_calls_are_taken_than_asked(world: World) -> None:
    ids = [owed(world) for _ in range(3)]
    assert take(world, limit=2) == ids[:2]
    assert take(world, limit=2) == ids[2:]


def test_hook_call_that_somebody_is_taking_is_passed_over(world: World) -> None:
    first, second = owed(world), owed(world)
    held = world.connect()
    held.execute("SELECT 1 FROM jobs_hook_call WHERE run_id = %s FOR UPDATE", [first])
    assert take(world) == [second]


def test_hook_call_of_a_cancelled_run_is_free_when_its_slot_dies_with_the_claim_forgotten(
    world: World,
) -> None:
    """The slot had written its next claim, and died before it ended the cancelled attempt."""
    run = world.executing()
    cancel(run.id)
    world.exchange([completed(run)])
    assert world.claims() == []
    assert take(world, world.new_worker()) == []
    recover_slot(world.line, world.holder.worker_id, world.holder.slot)
    assert take(world, world.new_worker()) == [run.id]


def test_recovery_leaves_a_hook_call_to_the_worker_that_has_taken_it(world: World) -> None:
    run = world.executing()
    cancel(run.id)
    world.end_lease()
    successor = world.new_worker()
    assert take(world, successor) == [run.id]
    recover_lost_workers(world.line)
    assert take(world, world.new_worker()) == []
