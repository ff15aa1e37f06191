"""Found by the machine: a run that was given back, then cancelled, still bears the old token."""

from __future__ import annotations

from jobs_platform.domain.lifecycle import Status
from jobs_platform.engine.cancel import cancel
from jobs_platform.engine.handoff import ClaimedRun
from jobs_platform.engine.recover import recover_worker
from jobs_platform.engine.worker import give_back
from jobs_platform.models import Attempt, Claim
from tests.world import World, completed


def given_back_then_cancelled(world: World) -> ClaimedRun:
    run = world.executing()
    give_back(world.line, [(run.id, run.fencing_token)])
    cancel(run.id)
    return run


def test_run_cancelled_after_it_was_given_back_does_not_stop_the_recovery(world: World) -> None:
    run = given_back_then_cancelled(world)
    recover_worker(world.line, world.holder.worker_id)
    assert world.status(run.id) == Status.CANCELED
    assert not Attempt.objects.exists()
    assert not Claim.objects.exists()
    world.check()


def test_late_end_of_a_run_cancelled_after_it_was_given_back_is_no_attempt(world: World) -> None:
    run = given_back_then_cancelled(world)
    assert world.finish(completed(run)) == frozenset()
    assert world.stop_attempts(completed(run)) == frozenset()
    assert not Attempt.objects.exists()


def test_giving_back_again_after_a_cancel_changes_nothing(world: World) -> None:
    run = given_back_then_cancelled(world)
    assert give_back(world.line, [(run.id, run.fencing_token)]) == []
    assert not Attempt.objects.exists()
    world.check()
