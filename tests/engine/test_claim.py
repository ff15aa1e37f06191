"""What a claim takes, in which order, and from whom it takes nothing."""

from __future__ import annotations

from datetime import timedelta

from jobs_platform.domain.lifecycle import Status
from jobs_platform.engine.environments import environment_id
from jobs_platform.engine.worker import renew_lease, stop_worker
from jobs_platform.models import Claim
from tests.world import World, completed, retried


def test_claim_starts_an_attempt_and_hands_over_the_run(world: World) -> None:
    parent = world.trigger(worker_queue="elsewhere")
    run_id = world.trigger(
        task_id="mail",
        payload='{"to":  1e20}',
        metadata='{"k": 1}',
        tags=("a",),
        parent_id=parent,
        root_id=parent,
        task_version="v",
        priority_seconds=5.0,
        is_test=True,
    )
    run = world.claim_one()
    row = world.row(run_id)
    assert (run.id, run.task_id, run.payload) == (run_id, "mail", '{"to":  1e20}')
    assert (run.metadata, run.tags, run.is_test) == ({"k": 1}, ("a",), True)
    assert (run.parent_id, run.root_id, run.batch_id, run.task_version) == (
        parent,
        parent,
        None,
        "v",
    )
    assert (run.attempt_number, run.max_attempts, run.version) == (1, 3, 2)
    assert (run.queue, run.worker_queue, run.priority_seconds) == ("task", "default", 5.0)
    assert (run.fencing_token, run.schedule_id, run.replay_of_id) == (1, None, None)
    assert (row.status, row.worker_id) == (Status.EXECUTING, world.holder.worker_id)
    assert row.started_at == row.attempt_started_at == run.attempt_started_at
    assert not row.is_claimable
    assert world.moves(run_id) == ["trigger", "claim"]
    assert world.claims() == [run_id]
    world.check()


def test_claim_goes_by_queue_time(world: World) -> None:
    ids = [world.trigger() for _ in range(5)]
    assert [run.id for run in world.claim(limit=3)] == ids[:3]
    assert [run.id for run in world.claim(limit=3)] == ids[3:]


def test_batch_is_claimed_first_in_first_out_over_several_claims(world: World) -> None:
    ids = world.trigger_many(50)
    claimed = [run.id for _ in range(5) for run in world.claim(limit=10)]
    assert claimed == ids


def test_priority_goes_before_older_runs(world: World) -> None:
    ordinary = world.trigger()
    urgent = world.trigger(priority_seconds=60.0)
    more_urgent = world.trigger(priority_seconds=3600.0)
    assert [run.id for run in world.claim(limit=3)] == [more_urgent, urgent, ordinary]


def test_negative_priority_lets_others_pass_until_its_time_has_come(world: World) -> None:
    humble = world.trigger(priority_seconds=-60.0)
    ordinary = world.trigger()
    assert [run.id for run in world.claim(limit=5)] == [ordinary]
    world.sql("UPDATE jobs_run SET run_at = run_at - interval '61 s' WHERE id = %s", [humble])
    world.trigger()
    assert world.claim(limit=5)[0].id == humble


def test_claim_takes_no_more_than_its_limit(world: World) -> None:
    world.trigger_many(7)
    assert len(world.claim(limit=3)) == 3
    assert len(world.claim(limit=0)) == 0
    assert len(world.claim(limit=10)) == 4
    assert world.claim(limit=10) == ()


def test_claim_takes_nothing_of_another_environment(world: World) -> None:
    theirs = world.trigger(environment="staging")
    assert world.claim(limit=5) == ()
    other = world.new_worker(environment="staging")
    (run,) = world.claim(limit=5, holder=other)
    assert (run.id, run.environment) == (theirs, "staging")
    assert world.row(theirs).environment_id == environment_id("staging")


def test_claim_takes_nothing_of_another_worker_queue(world: World) -> None:
    large = world.trigger(worker_queue="large")
    assert world.claim(limit=5) == ()
    assert [run.id for run in world.claim(limit=5, worker_queue="large")] == [large]


def test_worker_whose_lease_has_lapsed_claims_nothing(world: World) -> None:
    run_id = world.trigger()
    world.end_lease()
    assert world.claim(limit=5) == ()
    assert world.status(run_id) == Status.QUEUED
    assert not renew_lease(world.line, world.holder.worker_id, lease_seconds=60.0)


def test_stopped_worker_claims_nothing_and_stays_stopped(world: World) -> None:
    world.trigger()
    stop_worker(world.line, world.holder.worker_id)
    assert world.claim(limit=5) == ()
    assert not renew_lease(world.line, world.holder.worker_id, lease_seconds=60.0)


def test_worker_that_is_not_registered_claims_nothing(world: World) -> None:
    world.trigger()
    world.sql("DELETE FROM jobs_worker")
    assert world.claim(limit=5) == ()


def test_renewed_lease_goes_on(world: World) -> None:
    holder = world.new_worker(lease_seconds=1.0)
    assert renew_lease(world.line, holder.worker_id, lease_seconds=500.0)
    ((seconds,),) = world.sql(
        "SELECT extract(epoch FROM lease_until - now()) FROM jobs_worker WHERE id = %s",
        [holder.worker_id],
    )
    assert 490 < seconds <= 500


def test_claim_replaces_the_claim_before_it(world: World) -> None:
    world.trigger_many(4)
    first = world.claim(limit=2)
    second = world.exchange([completed(run) for run in first], limit=2).runs
    assert world.claims() == [run.id for run in second]
    row = Claim.objects.get()
    assert row.fencing_tokens == [1, 1]
    assert (row.worker_id, row.slot, row.number) == (world.holder.worker_id, 1, 2)


def test_claim_that_finds_nothing_leaves_no_row(world: World) -> None:
    world.claim(limit=5)
    assert not Claim.objects.exists()


def test_claim_tells_where_the_next_one_may_begin(world: World) -> None:
    ids = world.trigger_many(3)
    taken = world.exchange(limit=2)
    assert taken.low_water == world.row(ids[0]).run_at
    beyond = world.row(ids[2]).run_at + timedelta(microseconds=1)
    assert world.claim(limit=2, low_water=beyond) == ()
    assert [run.id for run in world.claim(limit=2, low_water=taken.low_water)] == [ids[2]]


def test_claim_of_a_retry_keeps_the_first_start_and_drops_the_old_error(world: World) -> None:
    run = world.executing()
    started_at = world.row(run.id).started_at
    world.finish(retried(run))
    assert world.row(run.id).error == {"name": "ValueError", "message": "no", "traceback": None}
    again = world.claim_one()
    row = world.row(run.id)
    assert (again.attempt_number, again.fencing_token) == (2, 2)
    assert (row.started_at, row.error) == (started_at, None)
    assert row.attempt_started_at > started_at


def test_claim_hands_out_the_runs_own_maximum_duration(world: World) -> None:
    limited, unlimited = world.trigger_many(2)
    world.sql("UPDATE jobs_run SET max_duration_seconds = 2.5 WHERE id = %s", [limited])
    given = {run.id: run.max_duration_seconds for run in world.claim(limit=2)}
    assert given == {limited: 2.5, unlimited: None}
