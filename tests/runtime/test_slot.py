"""The drain loop: what a slot claims, executes, writes and lets go."""

from __future__ import annotations

import time
from uuid import UUID

import pytest

from jobs_platform.domain.errors import UnknownTaskError
from jobs_platform.domain.lifecycle import Status
from jobs_platform.engine.cancel import cancel
from jobs_platform.models import Claim, HookCall, LogLine
from jobs_platform.runtime import pace
from jobs_platform.runtime import slot as slot_module
from tests.limited import a_queue, let_in, waiting
from tests.runtime.bench import Bench, Brake
from tests.waiting import wait_until
from tests.world import World, completed, ended, log_entry


def test_drain_executes_everything_in_order_and_says_how_many(bench: Bench) -> None:
    ids = bench.world.trigger_many(30)
    assert bench.slot.drain("default") == 30
    assert bench.executor.executed == ids
    assert set(bench.statuses(ids)) == {Status.COMPLETED}
    assert not Claim.objects.exists()
    assert bench.slot.drain("default") == 0
    bench.world.check()


def test_runs_that_others_wait_for_follow_each_other_without_a_distance(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "BURST", 1)
    monkeypatch.setattr(pace, "CALM_PER_SECOND", 0.0)
    monkeypatch.setattr(pace, "DISTANCE_SECONDS", 10.0)
    bench.slot._pace.limit = 5
    a_queue(bench.world, concurrency_limit=1)
    ids = [waiting(bench.world) for _ in range(4)]
    assert let_in(bench.world) == 1
    began = time.monotonic()
    assert bench.slot.drain("default") == 4
    assert time.monotonic() - began < pace.DISTANCE_SECONDS
    assert bench.executor.executed == ids


def test_drain_leaves_other_worker_queues_alone(bench: Bench) -> None:
    bench.world.trigger(worker_queue="large")
    assert bench.slot.drain("default") == 0
    assert bench.slot.drain("large") == 1


def test_claims_grow_while_runs_are_short(bench: Bench) -> None:
    sizes = []
    bench.executor.acts["task"] = lambda run, _: (
        sizes.append(len(bench.world.claims())) or completed(run)
    )
    bench.world.trigger_many(40)
    bench.slot.drain("default")
    assert sizes[0] == 1
    assert max(sizes) > 1


def test_retry_without_delay_is_executed_in_the_same_drain(bench: Bench) -> None:
    def fail_once(run, _):
        if run.attempt_number == 1:
            return ended(run, Status.QUEUED, retry_after_seconds=0.0)
        return completed(run)

    bench.executor.acts["task"] = fail_once
    ids = bench.world.trigger_many(3)
    assert bench.slot.drain("default") == 6
    assert set(bench.statuses(ids)) == {Status.COMPLETED}
    assert bench.tidied == 6


def test_run_of_an_unknown_task_waits_for_a_worker_that_knows_it(bench: Bench) -> None:
    def unknown(run, _):
        raise UnknownTaskError(task_id=run.task_id, close=())

    bench.executor.acts["new"] = unknown
    early = bench.world.trigger(task_id="new")
    last = bench.world.trigger(task_id="new", max_attempts=1)
    bench.slot.drain("default")
    row = bench.world.row(early)
    assert (row.status, row.error["name"]) == (Status.QUEUED, "UnknownTaskError")
    assert bench.world.status(last) == Status.SYSTEM_FAILURE


def test_executor_that_breaks_costs_only_its_run_an_attempt(bench: Bench) -> None:
    def broken(run, _):
        raise RuntimeError("ours")

    bench.executor.acts["broken"] = broken
    ids = bench.world.trigger_many(2)
    bad = bench.world.trigger(task_id="broken")
    ids += bench.world.trigger_many(2)
    bench.slot._pace.limit = 5
    assert bench.slot.drain("default") == 5
    assert set(bench.statuses(ids)) == {Status.COMPLETED}
    row = bench.world.row(bad)
    assert (row.status, row.attempt_number) == (Status.QUEUED, 1)
    bench.world.check()


def test_end_of_the_process_in_the_middle_of_a_claim_loses_nothing(bench: Bench) -> None:
    def interrupted(run, _):
        bench.executor.acts.clear()
        raise KeyboardInterrupt

    first = bench.world.trigger()
    bench.executor.acts["deadly"] = interrupted
    deadly = bench.world.trigger(task_id="deadly")
    last = bench.world.trigger()
    bench.slot._pace.limit = 3
    with pytest.raises(KeyboardInterrupt):
        bench.slot.drain("default")
    assert bench.slot.drain("default") == 2
    assert bench.statuses([first, deadly, last]) == [Status.COMPLETED] * 3
    assert bench.executor.executed == [first, deadly, deadly, last]
    bench.world.check()


def test_drain_makes_room_after_its_budget_and_rings_for_the_rest(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slot_module, "BUDGET_SECONDS", 0.0)
    bench.world.trigger_many(3)
    assert bench.slot.drain("default") == 0
    assert bench.rings == [("default", 1)]


def test_results_are_written_when_the_budget_is_over(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def last(run, _):
        monkeypatch.setattr(slot_module.time, "monotonic", lambda: 1e12)
        return completed(run)

    bench.executor.acts["last"] = last
    run_id = bench.world.trigger(task_id="last")
    bench.world.trigger()
    with monkeypatch.context():
        assert bench.slot.drain("default") == 1
    monkeypatch.undo()
    assert bench.world.status(run_id) == Status.COMPLETED
    assert bench.rings[-1] == ("default", 1)


def test_nothing_is_claimed_once_the_worker_stops(bench: Bench) -> None:
    run_id = bench.world.trigger()
    bench.board.stop()
    assert bench.slot.drain("default") == 0
    assert bench.world.status(run_id) == Status.QUEUED
    assert bench.rings == []


def test_worker_that_stops_finishes_what_it_has_begun(bench: Bench) -> None:
    def stop(run, _):
        bench.board.stop()
        return completed(run)

    bench.executor.acts["stop"] = stop
    first = bench.world.trigger(task_id="stop")
    second = bench.world.trigger()
    assert bench.slot.drain("default") == 1
    assert bench.statuses([first, second]) == [Status.COMPLETED, Status.QUEUED]


def test_log_lines_are_written_with_the_results(bench: Bench) -> None:
    def talk(run, _):
        bench.logs.add(log_entry(run, f"line of {run.id}"))
        return completed(run)

    bench.executor.acts["task"] = talk
    ids = bench.world.trigger_many(3)
    bench.slot.drain("default")
    lines = LogLine.objects.order_by("id").values_list("message", flat=True)
    assert list(lines) == [f"line of {run_id}" for run_id in ids]


def test_final_hooks_are_called_once_their_status_is_stored(bench: Bench) -> None:
    bench.executor.acts["task"] = lambda run, _: completed(run, has_final_hooks=True)
    stored = []
    call = bench.executor.call_final_hooks

    def look(run, outcome):
        stored.append(bench.world.status(run.id))
        call(run, outcome)

    bench.executor.call_final_hooks = look
    ids = bench.world.trigger_many(3)
    bench.slot.drain("default")
    assert bench.executor.hooks == [(run_id, Status.COMPLETED) for run_id in ids]
    assert stored == [Status.COMPLETED] * 3
    assert not HookCall.objects.exists()


def test_hooks_of_a_result_that_could_not_be_stored_see_what_is_stored(bench: Bench) -> None:
    bench.executor.acts["task"] = lambda run, _: completed(run, "{", has_final_hooks=True)
    run_id = bench.world.trigger()
    bench.slot.drain("default")
    assert bench.world.status(run_id) == Status.SYSTEM_FAILURE
    assert bench.executor.hooks == [(run_id, "stored")]
    assert not HookCall.objects.exists()


def test_hook_calls_of_runs_that_no_worker_saw_are_made_here(bench: Bench) -> None:
    run_id = bench.world.trigger()
    cancel(run_id)
    bench.slot.drain("default")
    assert bench.executor.hooks == [(run_id, "stored")]
    assert not HookCall.objects.exists()


def test_run_that_was_cancelled_while_it_executed_gets_its_end_and_its_hooks(bench: Bench) -> None:
    def cancelled(run, _):
        cancel(run.id)
        return completed(run, has_final_hooks=True)

    bench.executor.acts["task"] = cancelled
    run_id = bench.world.trigger()
    bench.slot.drain("default")
    assert bench.world.status(run_id) == Status.CANCELED
    assert bench.executor.hooks == [(run_id, "stored")]
    assert not HookCall.objects.exists()
    assert bench.world.sql("SELECT status FROM jobs_attempt") == [(Status.CANCELED,)]


def test_board_shows_how_far_the_slot_has_come(bench: Bench) -> None:
    brake = Brake()
    bench.executor.acts["slow"] = brake
    bench.world.trigger()
    slow = bench.world.trigger(task_id="slow")
    bench.world.trigger()
    bench.slot._pace.limit = 3
    draining = bench.start_drain()
    assert brake.begun.wait(20)
    state = bench.board.read(0)
    assert (state.claim_number, state.claimed, state.started) == (1, 3, 2)
    assert (state.run_id, state.slot) == (slow, 1)
    assert state.since > 0
    brake.release()
    assert draining.result(20) == 3
    state = bench.board.read(0)
    assert (state.run_id, state.since) == (None, 0.0)


def test_closed_slot_leaves_the_board(bench: Bench) -> None:
    bench.slot.close()
    assert bench.board.states() == []


def test_run_before_the_low_water_mark_is_found_soon(bench: Bench, world: World) -> None:
    """Each claim begins where the last one did; now and then the slot looks at everything."""
    world.trigger_many(20)
    bench.executor.acts["last"] = lambda run, _: (
        urgent.append(world.trigger(priority_seconds=3600.0)) or completed(run)
    )
    urgent: list[UUID] = []
    world.trigger(task_id="last")
    bench.slot.drain("default")
    wait_until(lambda: bench.slot.drain("default") or urgent[0] in bench.executor.executed, 20)
    assert world.status(urgent[0]) == Status.COMPLETED


def test_slot_that_stands_by_executes_what_it_is_woken_for(bench: Bench) -> None:
    bench.world.trigger()
    wakes = iter([True, False])

    def woken() -> bool:
        bench.world.trigger()
        return next(wakes)

    bench.on_stand_by = woken
    assert bench.slot.drain("default") == 2
    assert next(wakes, None) is None


def test_slot_without_work_does_not_stand_by(bench: Bench) -> None:
    stood_by = []
    bench.on_stand_by = lambda: bool(stood_by.append(True))
    assert bench.slot.drain("default") == 0
    assert stood_by == []


def test_slot_that_is_woken_while_it_stops_passes_the_ring_on(bench: Bench) -> None:
    bench.world.trigger()

    def woken() -> bool:
        bench.board.stop()
        bench.world.trigger()
        return True

    bench.on_stand_by = woken
    assert bench.slot.drain("default") == 1
    claimed_all_it_wanted, passed_on = bench.rings
    assert claimed_all_it_wanted == passed_on == ("default", 1)


def test_slot_that_is_woken_after_its_budget_still_answers(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.world.trigger()
    wakes = iter([True, False])

    def woken() -> bool:
        bench.world.trigger()
        monkeypatch.setattr(slot_module.time, "monotonic", lambda: 1e12)
        return next(wakes)

    bench.on_stand_by = woken
    assert bench.slot.drain("default") == 2
    monkeypatch.undo()


def test_slot_that_is_woken_for_hook_calls_makes_them(bench: Bench) -> None:
    bench.world.trigger()
    wakes = iter([True, False])
    left: list[UUID] = []

    def woken() -> bool:
        if not left:
            left.append(bench.world.trigger())
            cancel(left[0])
        return next(wakes)

    bench.on_stand_by = woken
    bench.slot.drain("default")
    assert bench.executor.hooks == [(left[0], "stored")]
