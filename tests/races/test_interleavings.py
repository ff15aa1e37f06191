"""Two connections, one order of events: who comes second must not undo who came first."""

from __future__ import annotations

from django.db import transaction

from jobs_platform.domain.lifecycle import Status
from jobs_platform.engine.cancel import cancel
from jobs_platform.engine.claim import Want, finish_and_claim
from jobs_platform.engine.recover import recover_lost_workers, recover_slot, recover_worker
from jobs_platform.engine.worker import give_back
from jobs_platform.models import Attempt, HookCall
from tests.races.beside import TIMEOUT, Beside
from tests.world import World, completed, rolled_back


def test_finish_before_recover_wins(world: World, beside: Beside) -> None:
    """The watch writes a result while the worker is recovered; its claim is still there."""
    run = world.executing()
    line = world.new_line()
    with line.transaction():
        finish_and_claim(line, world.holder, [completed(run)], Want())
        recovering = beside.start_blocked(
            lambda: recover_worker(world.new_line(), world.holder.worker_id)
        )
    recovered = recovering.result(TIMEOUT)
    assert (recovered.claims, recovered.retried, recovered.crashed) == (1, [], [])
    assert world.status(run.id) == Status.COMPLETED
    assert Attempt.objects.count() == 1
    world.check()


def test_finish_with_the_next_claim_hides_its_claim_from_a_recover(
    world: World, beside: Beside
) -> None:
    run = world.executing()
    line = world.new_line()
    with line.transaction():
        world.exchange([completed(run)], line=line)
        recovering = beside.start(lambda: recover_worker(world.line, world.holder.worker_id))
        assert recovering.result(TIMEOUT).claims == 0
    assert recover_worker(world.line, world.holder.worker_id).claims == 0
    assert world.status(run.id) == Status.COMPLETED
    world.check()


def test_recover_before_finish_wins(world: World, beside: Beside) -> None:
    run = world.executing()
    line = world.new_line()
    with line.transaction():
        recover_worker(line, world.holder.worker_id)
        finishing = beside.start_blocked(
            lambda: world.exchange([completed(run)], line=world.new_line())
        )
    assert finishing.result(TIMEOUT).finished == frozenset()
    assert world.status(run.id) == Status.QUEUED
    assert Attempt.objects.get().status == Status.CRASHED
    world.check()


def test_finish_and_recover_that_deadlock_both_come_to_their_end(
    world: World, beside: Beside
) -> None:
    """Recover holds the claim and waits for a run, finish holds the run and waits for the claim."""
    world.trigger_many(2)
    first, second = world.claim(limit=2)
    held = world.connect()
    held.execute("SELECT 1 FROM jobs_run WHERE id = %s FOR UPDATE", [first.id])
    recovering = beside.start_blocked(
        lambda: recover_slot(world.new_line(), world.holder.worker_id, world.holder.slot)
    )
    finishing = beside.start_blocked(
        lambda: world.exchange([completed(second)], line=world.new_line()), waiting=2
    )
    held.rollback()
    recovered, finished = recovering.result(TIMEOUT), finishing.result(TIMEOUT).finished
    won = world.status(second.id) == Status.COMPLETED
    assert finished == ({second.id} if won else frozenset())
    assert (second.id in recovered.retried) is not won
    assert world.status(first.id) == (Status.QUEUED if recovered.claims else Status.EXECUTING)


def test_cancel_before_finish_wins(world: World, beside: Beside) -> None:
    run = world.executing()
    with transaction.atomic():
        cancel(run.id)
        finishing = beside.start_blocked(
            lambda: world.exchange([completed(run, has_final_hooks=True)], line=world.new_line())
        )
    assert finishing.result(TIMEOUT).finished == frozenset()
    assert world.status(run.id) == Status.CANCELED
    assert HookCall.objects.count() == 1
    world.check()


def test_cancel_that_is_rolled_back_lets_the_finish_through(world: World, beside: Beside) -> None:
    run = world.executing()
    with rolled_back():
        cancel(run.id)
        finishing = beside.start_blocked(
            lambda: world.exchange([completed(run)], line=world.new_line())
        )
    assert finishing.result(TIMEOUT).finished == {run.id}
    assert world.status(run.id) == Status.COMPLETED


def test_finish_before_cancel_wins(world: World, beside: Beside) -> None:
    run = world.executing()
    line = world.new_line()
    with line.transaction():
        world.exchange([completed(run)], line=line)
        cancelling = beside.start_blocked(lambda: cancel(run.id))
    assert cancelling.result(TIMEOUT) is False
    assert world.status(run.id) == Status.COMPLETED
    assert not HookCall.objects.exists()
    world.check()


def test_two_claims_at_once_share_the_queue(world: World) -> None:
    ids = world.trigger_many(4)
    line, other = world.new_line(), world.new_worker()
    with line.transaction():
        first = world.claim(limit=2, line=line)
        second = world.claim(limit=4, holder=other)
    assert [run.id for run in first] == ids[:2]
    assert [run.id for run in second] == ids[2:]
    world.check()


def test_claim_that_is_rolled_back_leaves_its_runs_to_others(world: World) -> None:
    ids = world.trigger_many(2)
    line, other = world.new_line(), world.new_worker()
    try:
        with line.transaction():
            world.claim(limit=2, line=line)
            assert world.claim(limit=2, holder=other) == ()
            raise ConnectionError
    except ConnectionError:
        pass
    again = world.claim(limit=2, holder=other)
    assert [(run.id, run.fencing_token, run.attempt_number) for run in again] == [
        (run_id, 1, 1) for run_id in ids
    ]
    world.check()


def test_two_recoveries_at_once_recover_once(world: World, beside: Beside) -> None:
    ids = world.trigger_many(2)
    world.claim(limit=2)
    world.end_lease()
    line = world.new_line()
    recover_lost_workers(line)
    world.sql("UPDATE jobs_worker SET stopped_at = NULL, lease_until = now() + interval '1 h'")
    world.make_due()
    world.claim(limit=2)
    world.sql("UPDATE jobs_worker SET stopped_at = now()")
    with line.transaction():
        first = recover_lost_workers(line)
        second = beside.start(lambda: recover_lost_workers(world.line)).result(TIMEOUT)
    assert sorted(first.retried) == ids
    assert (second.claims, second.retried) == (0, [])
    assert Attempt.objects.count() == 4
    world.check()


def test_cancel_before_claim_wins(world: World) -> None:
    run_id = world.trigger()
    with transaction.atomic():
        cancel(run_id)
        assert world.claim(limit=5, line=world.new_line()) == ()
    assert world.claim(limit=5) == ()
    assert world.status(run_id) == Status.CANCELED
    world.check()


def test_cancel_after_claim_finds_the_live_attempt(world: World, beside: Beside) -> None:
    run_id = world.trigger()
    line = world.new_line()
    with line.transaction():
        run = world.claim_one(line=line)
        cancelling = beside.start_blocked(lambda: cancel(run_id))
    assert cancelling.result(TIMEOUT) is True
    assert HookCall.objects.get().worker_id == world.holder.worker_id
    assert world.finish(completed(run)) == frozenset()
    assert world.stop_attempts(completed(run)) == {run_id}
    world.check()


def test_uncommitted_trigger_is_neither_seen_nor_waited_for(world: World) -> None:
    with transaction.atomic():
        run_id = world.trigger()
        assert world.claim(limit=5, line=world.new_line()) == ()
    assert world.claim_one().id == run_id


def test_trigger_that_commits_late_is_found_by_a_full_look(world: World) -> None:
    """Its queue time lies before the low-water mark of those who have claimed meanwhile."""
    with transaction.atomic():
        late = world.trigger()
        beside_it = world.connect()
        beside_it.execute(
            "INSERT INTO jobs_run (id, environment_id, task_id, status, queue, worker_queue, "
            "run_at, payload, max_attempts) SELECT gen_random_uuid(), environment_id, task_id, "
            "'QUEUED', queue, worker_queue, clock_timestamp(), '{}', 3 FROM "
            "(VALUES (%s::smallint, 'task', 'task', 'default')) "
            "AS run (environment_id, task_id, queue, worker_queue)",
            [world.environment_id],
        )
        beside_it.commit()
        taken = world.exchange(limit=5, line=world.new_line())
    assert world.claim(limit=5, low_water=taken.low_water) == ()
    assert [run.id for run in world.claim(limit=5)] == [late]


def test_give_back_before_finish_wins(world: World, beside: Beside) -> None:
    """The keeper gave a run back that its slot has started all the same."""
    run = world.executing()
    line = world.new_line()
    with line.transaction():
        give_back(line, [(run.id, run.fencing_token)])
        finishing = beside.start_blocked(
            lambda: world.exchange([completed(run)], line=world.new_line())
        )
    assert finishing.result(TIMEOUT).finished == frozenset()
    assert world.status(run.id) == Status.QUEUED
    world.check()


def test_claim_that_commits_after_its_worker_was_recovered_is_found_later(world: World) -> None:
    run_id = world.trigger()
    line = world.new_line()
    with line.transaction():
        world.claim_one(line=line)
        assert recover_worker(world.line, world.holder.worker_id).claims == 0
    assert world.status(run_id) == Status.EXECUTING
    assert recover_lost_workers(world.line).retried == [run_id]
    world.check()


def test_cancelling_a_family_waits_for_no_claim_of_others(world: World) -> None:
    parent = world.trigger()
    child = world.trigger(parent_id=parent)
    stranger = world.trigger()
    with transaction.atomic():
        cancel(parent)
        claimed = world.claim(limit=5, line=world.new_line())
    assert [run.id for run in claimed] == [stranger]
    assert world.status(child) == Status.CANCELED
