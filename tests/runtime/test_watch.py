"""What happens beside a run that takes long."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from jobs_platform.domain.errors import MaxDurationExceeded, RunCancelled
from jobs_platform.domain.lifecycle import Status
from jobs_platform.engine.cancel import cancel
from jobs_platform.engine.channels import CANCEL_CHANNEL
from jobs_platform.engine.handoff import Outcome
from jobs_platform.models import Attempt, Claim, HookCall, LogLine
from jobs_platform.runtime import slot as slot_module
from jobs_platform.runtime import watch as watch_module
from tests.runtime.bench import Bench, Brake, LossyLine
from tests.waiting import wait_until
from tests.world import completed, log_entry


@pytest.fixture
def brake(bench: Bench) -> Iterator[Brake]:
    """The task `slow` goes on until it is released."""
    made = Brake()
    bench.executor.acts["slow"] = made
    yield made
    made.release()


def test_slow_run_keeps_neither_results_nor_runs(bench: Bench, brake: Brake) -> None:
    before = bench.world.trigger_many(2)
    slow = bench.world.trigger(task_id="slow")
    behind = bench.world.trigger_many(3)
    bench.slot._pace.limit = 6
    bench.watch()
    draining = bench.start_drain()
    bench.wait_for(before, Status.COMPLETED, Status.COMPLETED)
    bench.wait_for(behind, *[Status.QUEUED] * 3)
    assert bench.world.status(slow) == Status.EXECUTING
    assert ("default", 3) in bench.rings
    assert bench.new_slot().drain("default") == 3
    assert bench.statuses(behind) == [Status.COMPLETED] * 3
    brake.release()
    assert draining.result(20) == 3
    assert bench.executor.executed == [*before, slow, *behind]
    assert {row.attempt_number for row in map(bench.world.row, behind)} == {1}
    assert not Claim.objects.exists()
    bench.world.check()


def test_after_a_slow_run_nothing_of_its_claim_is_started(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The keeper may have given it away, where the code held the GIL and the watch slept."""

    def slow(run, _):
        monkeypatch.setattr(slot_module, "SLOW_SECONDS", 0.0)
        bench.board.stop()
        return completed(run)

    bench.executor.acts["slow"] = slow
    ids = [bench.world.trigger(task_id="slow"), bench.world.trigger()]
    bench.slot._pace.limit = 2
    assert bench.slot.drain("default") == 1
    assert bench.statuses(ids) == [Status.COMPLETED, Status.QUEUED]
    assert bench.slot._pace.limit == 1


def test_hooks_of_finished_runs_keep_waiting_runs_from_nobody(bench: Bench) -> None:
    begun, released = threading.Event(), threading.Event()

    def slow_hook(run, outcome):
        begun.set()
        assert released.wait(30)

    bench.executor.acts["hooked"] = lambda run, _: completed(run, has_final_hooks=True)
    bench.executor.call_final_hooks = slow_hook
    hooked = bench.world.trigger(task_id="hooked")
    behind = bench.world.trigger_many(2)
    bench.watch()
    draining = bench.start_drain()
    assert begun.wait(20)
    bench.wait_for(behind, Status.QUEUED, Status.QUEUED)
    assert bench.new_slot().drain("default") == 2
    released.set()
    draining.result(20)
    assert bench.statuses([hooked, *behind]) == [Status.COMPLETED] * 3
    assert not HookCall.objects.exists()


def test_log_lines_of_a_long_run_are_written_meanwhile(bench: Bench, brake: Brake) -> None:
    def talk(run, interrupt):
        bench.logs.add(log_entry(run, "still here"))
        return brake(run, interrupt)

    bench.executor.acts["slow"] = talk
    bench.world.trigger(task_id="slow")
    bench.watch()
    draining = bench.start_drain()
    wait_until(lambda: LogLine.objects.filter(message="still here").exists(), 20)
    brake.release()
    draining.result(20)
    assert LogLine.objects.count() == 1


def test_cancellation_interrupts_the_run_that_is_executed(bench: Bench) -> None:
    begun = threading.Event()

    def endless(run, interrupt):
        try:
            with interrupt.user_frame():
                begun.set()
                while True:
                    threading.Event().wait(0.01)
        except RunCancelled:
            return Outcome(run.id, run.fencing_token, Status.CANCELED)

    bench.executor.acts["endless"] = endless
    run_id = bench.world.trigger(task_id="endless")
    bench.watch()
    draining = bench.start_drain()
    assert begun.wait(20)
    cancel(run_id)
    assert draining.result(20) == 1
    assert bench.world.status(run_id) == Status.CANCELED
    assert bench.executor.hooks == [(run_id, "stored")]
    assert Attempt.objects.get().status == Status.CANCELED
    assert not HookCall.objects.exists()


def test_run_is_stopped_when_its_maximum_duration_is_used_up(bench: Bench) -> None:
    def endless(run, interrupt):
        try:
            with interrupt.user_frame():
                while True:
                    threading.Event().wait(0.01)
        except MaxDurationExceeded:
            return Outcome(
                run.id, run.fencing_token, Status.TIMED_OUT, error="{}", has_final_hooks=True
            )

    bench.executor.acts["endless"] = endless
    run_id = bench.world.trigger(task_id="endless")
    bench.world.sql("UPDATE jobs_run SET max_duration_seconds = 0.1")
    bench.watch()
    assert bench.start_drain().result(20) == 1
    row = bench.world.row(run_id)
    assert (row.status, row.attempt_number, row.max_attempts) == (Status.TIMED_OUT, 1, 3)
    assert bench.executor.hooks == [(run_id, Status.TIMED_OUT)]
    bench.world.check()


def test_board_shows_how_long_the_current_run_may_take(bench: Bench, brake: Brake) -> None:
    run_id = bench.world.trigger(task_id="slow")
    bench.world.sql("UPDATE jobs_run SET max_duration_seconds = 7")
    draining = bench.start_drain()
    assert brake.begun.wait(20)
    (state,) = bench.board.states()
    assert (state.run_id, state.max_duration) == (run_id, 7.0)
    brake.release()
    draining.result(20)
    (state,) = bench.board.states()
    assert (state.run_id, state.max_duration) == (None, 0.0)


def test_cancellation_whose_notice_was_lost_is_looked_up(
    bench: Bench, brake: Brake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_module, "LOOK_SECONDS", 0.05)
    run_id = bench.world.trigger(task_id="slow")
    bench.watch()
    draining = bench.start_drain()
    assert brake.begun.wait(20)
    bench.world.sql(
        "UPDATE jobs_run SET status = 'CANCELED', finished_at = now() WHERE id = %s", [run_id]
    )
    assert bench.slot.interrupt.cancelled.wait(20)
    brake.release()
    draining.result(20)


def test_run_that_is_cancelled_in_the_hand_is_not_executed(bench: Bench, brake: Brake) -> None:
    """Its claim is still there; what keeps it from starting is the notice."""
    slow = bench.world.trigger(task_id="slow")
    waiting = bench.world.trigger()
    bench.slot._pace.limit = 2
    draining = bench.start_drain()
    assert brake.begun.wait(20)
    cancel(waiting)
    bench.slot.hand.cancel(waiting)
    brake.release()
    assert draining.result(20) == 1
    assert bench.executor.executed == [slow]
    assert bench.world.status(waiting) == Status.CANCELED
    assert bench.executor.hooks == [(waiting, "stored")]
    assert not HookCall.objects.exists()


def test_run_that_is_cancelled_and_given_back_gets_its_hooks_from_anybody(
    bench: Bench, brake: Brake
) -> None:
    bench.world.trigger(task_id="slow")
    waiting = bench.world.trigger()
    bench.slot._pace.limit = 2
    draining = bench.start_drain()
    assert brake.begun.wait(20)
    cancel(waiting)
    bench.watch()
    wait_until(lambda: HookCall.objects.get().worker_id is None, 20)
    bench.new_slot().drain("default")
    assert bench.executor.hooks == [(waiting, "stored")]
    brake.release()
    draining.result(20)
    assert waiting not in bench.executor.executed


def test_run_cancelled_beside_a_slow_one_gets_its_hooks_from_anybody(
    bench: Bench, brake: Brake
) -> None:
    """It was executed and refused, and the watch writes what its slot has no time for."""

    def cancelled(run, _):
        cancel(run.id)
        return completed(run)

    bench.executor.acts["cancelled"] = cancelled
    first = bench.world.trigger(task_id="cancelled")
    bench.world.trigger(task_id="slow")
    bench.slot._pace.limit = 2
    bench.watch()
    draining = bench.start_drain()
    wait_until(lambda: HookCall.objects.filter(worker_id=None).exists(), 20)
    assert Attempt.objects.get(run_id=first).status == Status.CANCELED
    brake.release()
    draining.result(20)
    assert bench.executor.hooks == [(first, "stored")]


@pytest.mark.parametrize("content", ["nonsense", "", "a:b", ":", "01a2037f:x"])
def test_notice_that_means_nothing_is_passed_over(bench: Bench, brake: Brake, content: str) -> None:
    """Any session of the database may send one."""
    before = bench.world.trigger()
    bench.world.trigger(task_id="slow")
    bench.slot._pace.limit = 2
    watch = bench.watch()
    listening = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN jobs_cancel%'"
    wait_until(lambda: bench.world.sql(listening) == [(1,)], 20)
    bench.world.sql("SELECT pg_notify(%s, %s)", [CANCEL_CHANNEL, content])
    draining = bench.start_drain()
    bench.wait_for([before], Status.COMPLETED)
    assert watch._thread.is_alive()
    brake.release()
    draining.result(20)


def test_watch_goes_on_after_its_connection_is_lost(bench: Bench, brake: Brake) -> None:
    before = bench.world.trigger()
    bench.world.trigger(task_id="slow")
    bench.slot._pace.limit = 2
    bench.watch()
    gone = (
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = %s"
    )
    wait_until(lambda: bench.world.sql(gone, ["jobs watch"]), 20)
    draining = bench.start_drain()
    bench.wait_for([before], Status.COMPLETED)
    brake.release()
    draining.result(20)
    bench.world.check()


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("statement", [1, 2])
def test_watch_that_loses_its_connection_in_the_middle_loses_no_run(
    bench: Bench, brake: Brake, statement: int, moment: str
) -> None:
    """It writes results (1) and gives back runs (2); what it could not do is done after it."""
    before = bench.world.trigger()
    slow = bench.world.trigger(task_id="slow")
    behind = bench.world.trigger()
    bench.slot._pace.limit = 3
    draining = bench.start_drain()
    assert brake.begun.wait(20)
    wait_until(lambda: time.monotonic() - bench.slot.hand.busy_since > 0.06)
    line = LossyLine(bench.world, "lossy watch")
    line.losses = {statement: moment}
    for attempt in (bench.slot.write_outcomes, bench.slot.give_back_unstarted):
        try:
            attempt(line)
        except watch_module.DatabaseUnavailableError:
            line.close()
    brake.release()
    draining.result(20)
    line.close()
    bench.drain_everything()
    assert bench.statuses([before, slow, behind]) == [Status.COMPLETED] * 3
    assert bench.executor.executed == [before, slow, behind]
    assert not Claim.objects.exists()
    bench.world.check()
