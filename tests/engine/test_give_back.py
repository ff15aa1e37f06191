"""Runs that go back unstarted, as if nobody had claimed them."""

from __future__ import annotations

from jobs_platform.domain.lifecycle import Status
from jobs_platform.engine.cancel import cancel
from jobs_platform.engine.worker import give_back, give_back_behind, give_back_unknown
from jobs_platform.models import Attempt, HookCall
from tests.world import World, completed, retried


def test_run_given_back_has_used_no_attempt_and_keeps_its_place(world: World) -> None:
    first, second = world.trigger_many(2)
    run_at = world.row(first).run_at
    run = world.claim_one()
    assert give_back(world.line, [(run.id, run.fencing_token)]) == [(first, "default")]
    row = world.row(first)
    assert (row.status, row.attempt_number, row.run_at) == (Status.QUEUED, 0, run_at)
    assert (row.started_at, row.attempt_started_at, row.worker_id) == (None, None, None)
    assert row.is_claimable
    assert world.moves(first) == ["trigger", "claim", "give_back"]
    assert [run.id for run in world.claim(limit=2)] == [first, second]
    assert not Attempt.objects.exists()
    world.check()


def test_run_given_back_after_a_retry_stays_a_started_run(world: World) -> None:
    run = world.executing()
    started_at = world.row(run.id).started_at
    world.finish(retried(run))
    again = world.claim_one()
    give_back(world.line, [(again.id, again.fencing_token)])
    row = world.row(run.id)
    assert (row.attempt_number, row.started_at) == (1, started_at)
    last = world.claim_one()
    assert (last.attempt_number, last.fencing_token) == (2, 3)
    world.finish(completed(last))
    world.check()


def test_give_back_names_its_attempt(world: World) -> None:
    run = world.executing()
    give_back(world.line, [(run.id, run.fencing_token)])
    again = world.claim_one()
    assert give_back(world.line, [(run.id, run.fencing_token)]) == []
    assert world.status(run.id) == Status.EXECUTING
    assert give_back(world.line, [(again.id, again.fencing_token)]) == [(run.id, "default")]


def test_what_is_over_is_not_given_back(world: World) -> None:
    world.trigger_many(2)
    done, gone = world.claim(limit=2)
    world.finish(completed(done))
    cancel(gone.id)
    attempts = [(run.id, run.fencing_token) for run in (done, gone)]
    assert give_back(world.line, attempts) == []
    assert give_back(world.line, []) == []
    world.check()


def test_cancelled_run_that_is_given_back_ends_and_its_hook_call_is_free(world: World) -> None:
    """Nobody will execute it, so nobody else would ever make the call."""
    run = world.executing()
    cancel(run.id)
    assert give_back(world.line, [(run.id, run.fencing_token)]) == []
    assert Attempt.objects.get().status == Status.CANCELED
    assert HookCall.objects.get().worker_id is None


def test_run_that_was_given_back_and_cancelled_has_no_attempt_to_end(world: World) -> None:
    """Two may give back the same run: its slot and the watch, or the keeper."""
    run = world.executing()
    give_back(world.line, [(run.id, run.fencing_token)])
    cancel(run.id)
    assert give_back(world.line, [(run.id, run.fencing_token)]) == []
    assert world.stop_attempts(completed(run)) == frozenset()
    assert not Attempt.objects.exists()


def test_cancelled_run_of_a_lost_reply_is_freed_too(world: World) -> None:
    run = world.executing()
    cancel(run.id)
    assert give_back_unknown(world.line, world.holder.worker_id, 1, known=[]) == 0
    assert HookCall.objects.get().worker_id is None


def test_old_outcome_of_a_run_given_back_is_refused(world: World) -> None:
    run = world.executing()
    give_back(world.line, [(run.id, run.fencing_token)])
    assert world.finish(completed(run)) == frozenset()
    assert world.status(run.id) == Status.QUEUED


def test_claim_whose_reply_was_lost_is_given_back_whole(world: World) -> None:
    ids = world.trigger_many(3)
    world.claim(limit=3)
    holder = world.holder
    assert give_back_unknown(world.line, holder.worker_id, holder.slot, known=[]) == 3
    assert [world.status(run_id) for run_id in ids] == [Status.QUEUED] * 3
    assert world.claims() == []
    assert [run.id for run in world.claim(limit=3)] == ids


def test_known_runs_of_a_claim_stay_while_the_unknown_go_back(world: World) -> None:
    ids = world.trigger_many(3)
    known, *_ = world.claim(limit=3)
    holder = world.holder
    assert (
        give_back_unknown(
            world.line, holder.worker_id, holder.slot, known=[(known.id, known.fencing_token)]
        )
        == 2
    )
    assert [world.status(run_id) for run_id in ids] == [
        Status.EXECUTING,
        Status.QUEUED,
        Status.QUEUED,
    ]
    world.check()


def test_unknown_runs_of_other_slots_are_left_alone(world: World) -> None:
    run = world.executing()
    holder = world.holder
    assert give_back_unknown(world.line, holder.worker_id, holder.slot + 1, known=[]) == 0
    assert give_back_unknown(world.line, holder.worker_id + 1, holder.slot, known=[]) == 0
    assert world.status(run.id) == Status.EXECUTING


def test_runs_behind_a_stuck_one_go_back_for_its_slot(world: World) -> None:
    ids = world.trigger_many(4)
    world.claim(limit=4)
    holder = world.holder
    given = give_back_behind(world.line, holder.worker_id, slot=holder.slot, number=1, started=2)
    assert given == 2
    assert [world.status(run_id) for run_id in ids] == [Status.EXECUTING] * 2 + [Status.QUEUED] * 2
    again = give_back_behind(world.line, holder.worker_id, slot=holder.slot, number=1, started=2)
    other = give_back_behind(world.line, holder.worker_id, slot=holder.slot, number=2, started=0)
    assert (again, other) == (0, 0)
    world.check()


def test_next_attempt_of_a_known_run_is_unknown(world: World) -> None:
    """The reply that was lost said both: the retry is written, and claimed again."""
    run = world.executing()
    world.exchange([retried(run)])
    (again,) = world.claim()
    assert again.id == run.id
    holder, known = world.holder, [(run.id, run.fencing_token)]
    assert give_back_unknown(world.line, holder.worker_id, holder.slot, known=known) == 1
    assert world.status(run.id) == Status.QUEUED
    assert world.claims() == []
