"""Runs of dead workers and dead slots come back: once, and only those that were really held."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from jobs_platform.domain.lifecycle import Status
from jobs_platform.engine.cancel import cancel
from jobs_platform.engine.claim import Want, finish_and_claim
from jobs_platform.engine.death import Death
from jobs_platform.engine.handoff import Holder
from jobs_platform.engine.recover import (
    CLAIMS_PER_TRANSACTION,
    Progress,
    recover_lost_workers,
    recover_slot,
    recover_worker,
)
from jobs_platform.engine.worker import give_back
from jobs_platform.models import Attempt, Claim, HookCall, Worker
from tests.world import World, completed


def test_runs_of_a_lost_worker_are_retried_soon(world: World) -> None:
    ids = world.trigger_many(2)
    world.claim(limit=2)
    world.end_lease()
    recovered = recover_lost_workers(world.line)
    assert sorted(recovered.retried) == ids
    assert (recovered.crashed, recovered.given_back, recovered.claims) == ([], [], 1)
    row = world.row(ids[0])
    assert (row.status, row.attempt_number, row.is_claimable) == (Status.QUEUED, 1, True)
    attempt = Attempt.objects.get(run_id=ids[0])
    assert (attempt.status, attempt.error["name"]) == (Status.CRASHED, "WorkerLost")
    assert 0 < (row.run_at - attempt.finished_at).total_seconds() <= 1
    assert world.moves(ids[0]) == ["trigger", "claim", "retry"]
    assert not Claim.objects.exists()
    world.check()


def test_last_attempt_of_a_lost_worker_has_crashed(world: World) -> None:
    run = world.executing(max_attempts=1)
    world.end_lease()
    assert recover_lost_workers(world.line).crashed == [run.id]
    row = world.row(run.id)
    assert (row.status, row.error["name"]) == (Status.CRASHED, "WorkerLost")
    assert HookCall.objects.get().worker_id is None
    world.check()


def test_lost_attempts_use_up_the_attempts(world: World) -> None:
    run_id = world.trigger(max_attempts=2)
    for _ in range(2):
        holder = world.new_worker()
        world.make_due()
        world.claim_one(holder=holder)
        recover_worker(world.line, holder.worker_id)
    assert world.status(run_id) == Status.CRASHED
    assert world.moves(run_id) == ["trigger", "claim", "retry", "claim", "crash"]


def test_live_workers_are_left_alone(world: World) -> None:
    run = world.executing()
    recovered = recover_lost_workers(world.line)
    assert recovered.claims == 0
    assert world.status(run.id) == Status.EXECUTING


def test_lost_worker_is_marked_as_stopped(world: World) -> None:
    world.end_lease()
    recover_lost_workers(world.line)
    assert Worker.objects.get().stopped_at is not None


def test_recovering_again_changes_nothing(world: World) -> None:
    run = world.executing()
    recover_worker(world.line, world.holder.worker_id)
    version = world.row(run.id).version
    assert recover_worker(world.line, world.holder.worker_id).claims == 0
    assert recover_lost_workers(world.line).claims == 0
    assert world.row(run.id).version == version


def test_recovered_worker_claims_nothing_more(world: World) -> None:
    world.trigger()
    recover_worker(world.line, world.holder.worker_id)
    assert world.claim(limit=5) == ()


def test_late_outcome_of_a_lost_worker_is_refused(world: World) -> None:
    run = world.executing()
    recover_worker(world.line, world.holder.worker_id)
    assert world.finish(completed(run)) == frozenset()
    assert world.status(run.id) == Status.QUEUED
    world.check()


def test_many_claims_are_recovered_in_bounded_transactions(world: World) -> None:
    count = CLAIMS_PER_TRANSACTION + 5
    world.trigger_many(count)
    for slot in range(1, count + 1):
        holder = replace(world.holder, slot=slot)
        assert len(world.claim(holder=holder)) == 1
    recovered = recover_worker(world.line, world.holder.worker_id)
    assert (len(recovered.retried), recovered.claims) == (count, count)
    ((transactions,),) = world.sql("SELECT count(DISTINCT xmin::text) FROM jobs_run")
    assert transactions == 2
    world.check()


def test_dead_slot_gives_back_what_it_had_not_started(world: World) -> None:
    ids = world.trigger_many(4)
    world.claim(limit=4)
    recovered = recover_slot(
        world.line, world.holder.worker_id, 1, progress=Progress(number=1, started=2)
    )
    assert sorted(recovered.retried) == ids[:2]
    assert sorted(recovered.given_back) == ids[2:]
    assert [world.row(run_id).attempt_number for run_id in ids] == [1, 1, 0, 0]
    assert [run.id for run in world.claim(limit=4)] == ids[2:]
    world.check()


def test_dead_slot_on_its_last_attempt_has_crashed(world: World) -> None:
    ids = world.trigger_many(2, max_attempts=1)
    world.claim(limit=2)
    recovered = recover_slot(
        world.line, world.holder.worker_id, 1, progress=Progress(number=1, started=1)
    )
    assert (recovered.crashed, recovered.given_back) == (ids[:1], ids[1:])


def test_claim_that_a_dead_slot_had_not_shown_yet_was_not_started(world: World) -> None:
    """It died between its claim and the first look at it: the board still shows the one before."""
    run_id = world.trigger()
    world.exchange()
    world.claim(limit=2)
    recovered = recover_slot(
        world.line, world.holder.worker_id, 1, progress=Progress(number=1, started=1)
    )
    assert recovered.given_back == [run_id]
    assert world.row(run_id).attempt_number == 0


def test_dead_slot_of_which_nothing_is_known_has_started_everything(world: World) -> None:
    ids = world.trigger_many(2)
    world.claim(limit=2)
    assert sorted(recover_slot(world.line, world.holder.worker_id, 1).retried) == ids


def test_slot_that_the_platform_stopped_has_used_no_attempt(world: World) -> None:
    ids = world.trigger_many(2)
    world.claim(limit=2)
    recovered = recover_slot(
        world.line,
        world.holder.worker_id,
        1,
        progress=Progress(number=1, started=2),
        is_interrupted=True,
    )
    assert sorted(recovered.given_back) == ids
    assert [run.id for run in world.claim(limit=2)] == ids


def test_attempt_that_was_stopped_after_its_maximum_duration_has_timed_out(world: World) -> None:
    ids = world.trigger_many(3)
    world.claim(limit=3)
    recovered = recover_slot(
        world.line,
        world.holder.worker_id,
        1,
        progress=Progress(number=1, started=2),
        death=Death(ids[1], max_duration_seconds=5.0),
    )
    assert (recovered.retried, recovered.timed_out, recovered.given_back) == (
        [ids[0]],
        [ids[1]],
        [ids[2]],
    )
    row, attempt = world.row(ids[1]), Attempt.objects.get(run_id=ids[1])
    assert (row.status, attempt.status) == (Status.TIMED_OUT, Status.TIMED_OUT)
    assert row.error["name"] == "MaxDurationExceeded"
    assert "5 s" in row.error["message"]
    assert HookCall.objects.get().run_id == ids[1]
    world.check()


def test_cancelled_attempt_that_was_stopped_for_its_duration_stays_cancelled(world: World) -> None:
    run = world.executing()
    cancel(run.id)
    death = Death(run.id, max_duration_seconds=5.0)
    recover_slot(world.line, world.holder.worker_id, 1, death=death)
    assert (world.status(run.id), Attempt.objects.get().status) == (Status.CANCELED,) * 2
    world.check()


def _dies_of_memory(world: World, run_id: UUID, **machines: str) -> None:
    death = Death(run_id, is_out_of_memory=True, larger_machines=machines)
    recover_slot(world.line, world.holder.worker_id, 1, death=death)
    world.check()


def test_attempt_that_died_of_its_memory_is_tried_again_on_the_larger_machine(
    world: World,
) -> None:
    run = world.executing()
    _dies_of_memory(world, run.id, task="large-1x")
    row, attempt = world.row(run.id), Attempt.objects.get()
    assert (row.status, row.worker_queue, row.is_claimable) == (Status.QUEUED, "large-1x", True)
    assert (attempt.status, attempt.error["name"]) == (Status.CRASHED, "OutOfMemory")


def test_attempt_that_died_of_its_memory_is_tried_again_where_it_was_without_a_larger_machine(
    world: World,
) -> None:
    run = world.executing()
    _dies_of_memory(world, run.id, other="large-1x")
    row = world.row(run.id)
    assert (row.status, row.worker_queue) == (Status.QUEUED, "default")
    assert Attempt.objects.get().error["name"] == "OutOfMemory"


def test_attempt_that_died_of_its_memory_on_the_larger_machine_has_crashed(world: World) -> None:
    run = world.executing()
    _dies_of_memory(world, run.id, task="default")
    row = world.row(run.id)
    assert (row.status, row.error["name"]) == (Status.CRASHED, "OutOfMemory")
    assert HookCall.objects.get().run_id == run.id


def test_other_slots_of_the_worker_are_left_alone(world: World) -> None:
    world.trigger_many(2)
    (first,) = world.claim()
    (second,) = world.claim(holder=replace(world.holder, slot=2))
    recover_slot(world.line, world.holder.worker_id, 1)
    assert world.status(first.id) == Status.QUEUED
    assert world.status(second.id) == Status.EXECUTING
    world.check()


def test_cancelled_attempt_of_a_lost_worker_ends_and_frees_its_hook_call(world: World) -> None:
    run = world.executing()
    cancel(run.id)
    recovered = recover_worker(world.line, world.holder.worker_id)
    assert (recovered.retried, recovered.crashed, recovered.given_back) == ([], [], [])
    assert world.status(run.id) == Status.CANCELED
    assert Attempt.objects.get().status == Status.CANCELED
    assert HookCall.objects.get().worker_id is None
    assert not Claim.objects.exists()
    world.check()


def test_run_that_was_given_back_and_claimed_elsewhere_is_untouched(world: World) -> None:
    run = world.executing()
    give_back(world.line, [(run.id, run.fencing_token)])
    other = world.new_worker()
    again = world.claim_one(holder=other)
    assert world.claims() == [run.id] == world.claims(other)
    recovered = recover_worker(world.line, world.holder.worker_id)
    assert (recovered.claims, recovered.retried, recovered.given_back) == (1, [], [])
    row = world.row(run.id)
    assert (row.status, row.worker_id) == (Status.EXECUTING, other.worker_id)
    assert world.finish(completed(again), holder=other) == {run.id}
    world.check()


def test_finished_run_of_a_lost_worker_is_untouched(world: World) -> None:
    world.trigger_many(2)
    done, lost = world.claim(limit=2)
    finish_and_claim(world.line, world.holder, [completed(done)], Want())
    recovered = recover_worker(world.line, world.holder.worker_id)
    assert recovered.retried == [lost.id]
    assert world.status(done.id) == Status.COMPLETED
    world.check()


def test_claims_of_a_worker_whose_row_is_gone_are_recovered(world: World) -> None:
    run = world.executing()
    world.sql("DELETE FROM jobs_worker")
    assert recover_lost_workers(world.line).retried == [run.id]


def test_claims_of_runs_that_are_gone_are_forgotten(world: World) -> None:
    world.executing()
    world.sql("DELETE FROM jobs_run")
    assert recover_worker(world.line, world.holder.worker_id).claims == 1
    assert not Claim.objects.exists()


def test_worker_without_claims_recovers_to_nothing(world: World) -> None:
    holder = Holder(10_000, 1, world.environment_id, "dev")
    assert recover_worker(world.line, holder.worker_id).claims == 0
