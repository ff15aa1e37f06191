"""How attempts end: every outcome, what refuses it, and what it leaves behind."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from jobs_platform.domain.lifecycle import FINAL, Status
from jobs_platform.engine.cancel import cancel
from jobs_platform.models import Attempt, HookCall, LogLine
from tests.world import ERROR, World, completed, ended, log_entry, retried

MOVES = {
    Status.FAILED: "fail",
    Status.CRASHED: "crash",
    Status.TIMED_OUT: "time_out",
    Status.SYSTEM_FAILURE: "break_down",
}


def test_completed_run_keeps_its_output_verbatim(world: World) -> None:
    run = world.executing()
    outcome = completed(run, '{"n": 1e20}', cpu_seconds=0.25, peak_memory_bytes=2**40)
    assert world.finish(outcome) == {run.id}
    row = world.row(run.id)
    assert (row.status, row.output, row.error) == (Status.COMPLETED, {"n": 1e20}, None)
    assert (row.version, row.is_claimable) == (3, False)
    assert row.finished_at >= row.started_at
    attempt = Attempt.objects.get(run_id=run.id)
    assert (attempt.number, attempt.status, attempt.error) == (1, Status.COMPLETED, None)
    assert (attempt.cpu_seconds, attempt.peak_memory_bytes) == (0.25, 2**40)
    assert attempt.worker_id == world.holder.worker_id
    assert (attempt.started_at, attempt.finished_at) == (row.attempt_started_at, row.finished_at)
    assert world.moves(run.id) == ["trigger", "claim", "complete"]
    world.check()


@pytest.mark.parametrize("status", sorted(MOVES))
def test_ended_run_keeps_its_error(world: World, status: Status) -> None:
    run = world.executing()
    assert world.finish(ended(run, status)) == {run.id}
    row = world.row(run.id)
    assert (row.status, row.error, row.output) == (status, json.loads(ERROR), None)
    attempt = Attempt.objects.get(run_id=run.id)
    assert (attempt.status, attempt.error) == (status, json.loads(ERROR))
    assert world.moves(run.id)[-1] == MOVES[status]
    world.check()


def test_retry_is_due_by_the_clock_of_the_database(world: World) -> None:
    run = world.executing()
    assert world.finish(retried(run, after=90.0)) == {run.id}
    row = world.row(run.id)
    assert (row.status, row.attempt_number, row.finished_at) == (Status.QUEUED, 1, None)
    attempt = Attempt.objects.get(run_id=run.id)
    assert attempt.status == Status.FAILED
    assert (row.run_at - attempt.finished_at).total_seconds() == 90.0
    ((move, data),) = world.sql(
        "SELECT move, data FROM jobs_event WHERE run_id = %s AND version = 3", [run.id]
    )
    assert (move, data) == ("retry", {"delay_seconds": 90.0})
    assert world.claim(limit=5) == ()
    world.make_due()
    assert world.claim_one().attempt_number == 2


def test_retry_without_delay_is_claimable_in_the_next_statement(world: World) -> None:
    run = world.executing()
    taken = world.exchange([retried(run)], limit=5)
    assert taken.finished == {run.id}
    again = taken.runs or world.claim(limit=5)
    assert [(one.id, one.attempt_number) for one in again] == [(run.id, 2)]


def test_each_attempt_leaves_its_row(world: World) -> None:
    run = world.executing()
    world.finish(retried(run))
    run = world.claim_one()
    world.finish(retried(run))
    run = world.claim_one()
    world.finish(completed(run))
    rows = Attempt.objects.filter(run_id=run.id).order_by("number")
    assert [(row.number, row.status) for row in rows] == [
        (1, Status.FAILED),
        (2, Status.FAILED),
        (3, Status.COMPLETED),
    ]
    assert world.moves(run.id) == ["trigger", *["claim", "retry"] * 2, "claim", "complete"]
    world.check()


def test_write_with_an_old_token_is_refused(world: World) -> None:
    run = world.executing()
    world.finish(retried(run))
    again = world.claim_one()
    assert world.finish(completed(run)) == frozenset()
    assert world.status(run.id) == Status.EXECUTING
    assert world.finish(completed(again)) == {run.id}
    assert Attempt.objects.filter(run_id=run.id).count() == 2


def test_write_with_a_token_that_nobody_has_yet_is_refused(world: World) -> None:
    run = world.executing()
    future = replace(run, fencing_token=run.fencing_token + 1)
    assert world.finish(completed(future)) == frozenset()
    assert world.status(run.id) == Status.EXECUTING


def test_write_for_a_run_that_is_not_executing_is_refused(world: World) -> None:
    run = world.executing()
    world.finish(retried(run, after=60.0))
    assert world.finish(completed(run)) == frozenset()
    assert world.status(run.id) == Status.QUEUED


@pytest.mark.parametrize("status", sorted(FINAL - {Status.CANCELED}))
def test_second_write_for_a_final_run_is_refused(world: World, status: Status) -> None:
    run = world.executing()
    world.finish(completed(run) if status is Status.COMPLETED else ended(run, Status.FAILED))
    version = world.row(run.id).version
    assert world.finish(ended(run, Status.CRASHED)) == frozenset()
    assert world.row(run.id).version == version
    world.check()


def test_write_for_a_cancelled_run_is_refused(world: World) -> None:
    run = world.executing()
    cancel(run.id)
    assert world.finish(completed(run, has_final_hooks=True)) == frozenset()
    assert world.status(run.id) == Status.CANCELED
    assert not Attempt.objects.exists()
    world.check()


def test_write_for_a_run_that_was_pruned_is_refused(world: World) -> None:
    run = world.executing()
    world.sql("DELETE FROM jobs_run")
    assert world.finish(completed(run)) == frozenset()


def test_refused_write_does_not_stop_its_neighbours(world: World) -> None:
    world.trigger_many(3)
    first, second, third = world.claim(limit=3)
    cancel(second.id)
    assert world.finish(completed(first), completed(second), completed(third)) == {
        first.id,
        third.id,
    }


def test_outcomes_and_the_next_claim_are_one_commit(world: World) -> None:
    world.trigger_many(4)
    done = world.claim(limit=2)
    taken = world.exchange([completed(run) for run in reversed(done)], limit=2)
    assert taken.finished == {run.id for run in done}
    ((transactions,),) = world.sql("SELECT count(DISTINCT xmin::text) FROM jobs_run")
    assert (len(taken.runs), transactions) == (2, 1)


@pytest.mark.parametrize("calls_hooks", [True, False])
def test_final_hooks_are_owed_from_the_final_move_on(world: World, calls_hooks: bool) -> None:
    run = world.executing(worker_queue="default")
    world.finish(completed(run, has_final_hooks=True), calls_hooks=calls_hooks)
    call = HookCall.objects.get(run_id=run.id)
    assert call.worker_id == (world.holder.worker_id if calls_hooks else None)
    assert (call.worker_queue, call.tries) == ("default", 0)


def test_retry_owes_no_final_hook(world: World) -> None:
    run = world.executing()
    world.finish(retried(run, has_final_hooks=True))
    assert not HookCall.objects.exists()


@pytest.mark.parametrize("output", ['{"broken": ', "\x00", '"\\u0000"', '"\ud800"'])
def test_unstorable_output_is_a_system_failure_and_spares_its_neighbours(
    world: World, output: str
) -> None:
    world.trigger_many(4)
    first, second, third = world.claim(limit=3)
    outcomes = [completed(first, "1"), completed(second, output), completed(third, "3")]
    taken = world.exchange(
        [replace(one, has_final_hooks=True) for one in outcomes],
        limit=1,
        log_entries=[log_entry(first, "a"), log_entry(second, "b"), log_entry(third, "c")],
    )
    assert taken.finished == {first.id, second.id, third.id}
    assert len(taken.runs) == 1
    assert [world.row(run.id).output for run in (first, third)] == [1, 3]
    row = world.row(second.id)
    assert (row.status, row.output) == (Status.SYSTEM_FAILURE, None)
    assert row.error["name"] == "ResultRefused"
    assert HookCall.objects.count() == 3
    assert [line.message for line in LogLine.objects.order_by("id")] == ["a", "b", "c"]
    world.check()


def test_unstorable_error_is_a_system_failure(world: World) -> None:
    run = world.executing()
    assert world.finish(replace(ended(run), error="{")) == {run.id}
    assert world.status(run.id) == Status.SYSTEM_FAILURE


def test_retry_beyond_the_last_attempt_is_a_system_failure(world: World) -> None:
    """Queued like that, it would make every later claim of its queue fail."""
    run = world.executing(max_attempts=1)
    neighbour = world.trigger()
    assert world.finish(retried(run)) == {run.id}
    assert world.status(run.id) == Status.SYSTEM_FAILURE
    assert world.claim_one().id == neighbour


def test_log_lines_are_stored_in_their_order_with_the_outcome(world: World) -> None:
    run = world.executing()
    entries = [
        log_entry(run, "one", fields='{"k": 1}'),
        log_entry(run, "two", level="error", source="stderr"),
        log_entry(run, "three"),
    ]
    world.exchange([completed(run)], log_entries=entries)
    lines = LogLine.objects.order_by("id")
    assert [(line.message, line.level, line.source, line.fields) for line in lines] == [
        ("one", "info", "logger", {"k": 1}),
        ("two", "error", "stderr", None),
        ("three", "info", "logger", None),
    ]
    ((same,),) = world.sql(
        "SELECT bool_and(line.xmin = run.xmin) FROM jobs_log_line AS line, jobs_run AS run"
    )
    assert same


def test_unstorable_log_line_costs_only_itself(world: World) -> None:
    run = world.executing()
    entries = [log_entry(run, "one"), log_entry(run, "\x00"), log_entry(run, "three")]
    assert world.exchange([completed(run)], log_entries=entries).finished == {run.id}
    assert world.status(run.id) == Status.COMPLETED
    messages = LogLine.objects.order_by("id").values_list("message", flat=True)
    assert list(messages) == ["one", "three"]


def test_log_line_is_stored_once_when_a_reply_was_lost(world: World) -> None:
    run = world.executing()
    entries = [log_entry(run, "one"), log_entry(run, "two")]
    world.exchange(log_entries=entries)
    world.exchange([completed(run)], log_entries=entries)
    messages = LogLine.objects.order_by("id").values_list("message", flat=True)
    assert list(messages) == ["one", "two"]
