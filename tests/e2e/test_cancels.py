"""A cancelled run is left at once, by whatever its function is busy with; its slot is free then."""

from __future__ import annotations

import pytest

from tests.e2e.audit import assert_hooked, assert_sound, wait_until_final
from tests.e2e.fleet import Fleet
from tests.waiting import wait_until

PREFORK = ("sleeper", "spinner", "async-sleeper")
THREADS = ("spinner", "async-sleeper")


@pytest.mark.parametrize(("pool", "tasks"), [("prefork", PREFORK), ("threads", THREADS)])
def test_a_cancelled_function_is_left_and_its_slot_is_free(
    fleet: Fleet, pool: str, tasks: tuple[str, ...]
) -> None:
    fleet.registered(fleet.worker(pool=pool, concurrency=1, CANCEL_GRACE_SECONDS=30))
    runs = []
    for task in tasks:
        run = fleet.trigger(task)
        fleet.started(run)
        assert fleet.call("cancel", run=run)
        runs.append(run)
        wait_until(lambda run=run: fleet.journal.entries("left", run=run), 10, f"the end of {task}")
        (left,) = fleet.journal.entries("left", run=run)
        assert left.detail in ("RunCancelled", "CancelledError")
        after = fleet.trigger("steady")
        wait_until_final(fleet, [after], seconds=10)
        runs.append(after)
    cancelled = runs[::2]
    assert_sound(fleet, runs, statuses={"CANCELED": len(tasks), "COMPLETED": len(tasks)})
    assert_hooked(fleet, dict.fromkeys(cancelled, "CANCELED"))


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_a_function_that_swallows_its_cancellation_is_stopped_hard(fleet: Fleet, pool: str) -> None:
    fleet.registered(fleet.worker(pool=pool, concurrency=2), fleet.beat())
    neighbour = fleet.trigger("gated-once", {"gate": "open"})
    run = fleet.trigger("stubborn")
    fleet.started(run, neighbour)
    assert fleet.call("cancel", run=run)
    if pool == "threads":
        wait_until(lambda: "stopped" in fleet.processes[0].said(), 20, "the hard stop")
        fleet.registered(fleet.worker(pool=pool))
    fleet.open_gate("open")
    after = fleet.trigger_many("gated", [{"gate": "open"}] * 4)
    wait_until_final(fleet, [run, neighbour, *after], seconds=30)
    assert_sound(fleet, [run, neighbour, *after], statuses={"CANCELED": 1, "COMPLETED": 5})
    assert_hooked(fleet, {run: "CANCELED", neighbour: "COMPLETED"})


@pytest.mark.parametrize("pool", ["prefork", "threads"])
@pytest.mark.parametrize("task", ["gil-holder", "async-spinner"])
def test_a_cancelled_function_that_cannot_be_told_is_stopped_hard(
    fleet: Fleet, pool: str, task: str
) -> None:
    """It holds the GIL in C, or the event loop: the keeper alone can end it."""
    worker = fleet.worker(pool=pool, concurrency=1)
    fleet.registered(worker, fleet.beat())
    run = fleet.trigger(task)
    fleet.started(run)
    assert fleet.call("cancel", run=run)
    if pool == "threads":
        wait_until(lambda: not worker.is_alive, 20, "the hard stop")
        fleet.registered(fleet.worker(pool=pool))
    after = fleet.trigger("steady")
    wait_until_final(fleet, [run, after], seconds=20)
    assert_sound(fleet, [run, after], statuses={"CANCELED": 1, "COMPLETED": 1})
    assert_hooked(fleet, {run: "CANCELED"})


def test_a_retrying_run_that_is_cancelled_is_not_tried_again(fleet: Fleet) -> None:
    fleet.registered(fleet.worker(), fleet.beat())
    run = fleet.trigger("retries-late")
    wait_until(lambda: fleet.journal.entries("left", run=run), 10, "the failure")
    wait_until(lambda: fleet.value("SELECT status FROM jobs_run") == "QUEUED", 10, "the retry")
    assert fleet.call("cancel", run=run)
    assert_hooked_soon(fleet, run)
    assert fleet.rows("SELECT status, is_claimable, attempt_number FROM jobs_run") == [
        ("CANCELED", False, 1)
    ]
    assert fleet.journal.count("start") == {run: 1}


def test_a_queued_run_that_is_cancelled_never_starts_and_its_hooks_are_called(
    fleet: Fleet,
) -> None:
    run = fleet.trigger("hooked")
    assert fleet.call("cancel", run=run)
    assert not fleet.call("cancel", run=run)
    fleet.registered(fleet.worker(), fleet.beat())
    assert_hooked_soon(fleet, run)
    assert fleet.journal.count("start") == {}


def test_a_cancelled_run_of_a_killed_worker_gets_its_hooks_from_another(fleet: Fleet) -> None:
    worker = fleet.worker(concurrency=1)
    fleet.registered(worker)
    run = fleet.trigger("stubborn")
    fleet.started(run)
    assert fleet.call("cancel", run=run)
    worker.kill()
    fleet.registered(fleet.worker(), fleet.beat())
    assert_hooked_soon(fleet, run)
    assert_sound(fleet, [run], statuses={"CANCELED": 1})


def assert_hooked_soon(fleet: Fleet, run: str) -> None:
    wait_until(lambda: fleet.journal.count("on_complete")[run], 15, "the hooks")
    wait_until(lambda: not fleet.value("SELECT count(*) FROM jobs_hook_call"), 5, "their end")
    assert_hooked(fleet, {run: "CANCELED"})
