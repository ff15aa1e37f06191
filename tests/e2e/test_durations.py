"""An attempt that has used up its maximum duration is left at once, or stopped after the grace."""

from __future__ import annotations

import pytest

from tests.e2e.audit import assert_hooked, assert_sound, wait_until_final
from tests.e2e.fleet import Fleet
from tests.waiting import wait_until

PREFORK = ("brief-sleeper", "brief-spinner", "brief-async-sleeper")
THREADS = ("brief-spinner", "brief-async-sleeper")


@pytest.mark.parametrize(("pool", "tasks"), [("prefork", PREFORK), ("threads", THREADS)])
def test_an_overdue_function_is_told_and_its_slot_goes_on(
    fleet: Fleet, pool: str, tasks: tuple[str, ...]
) -> None:
    fleet.registered(fleet.worker(pool=pool, concurrency=1, CANCEL_GRACE_SECONDS=30))
    runs = [fleet.trigger(task) for task in tasks]
    after = fleet.trigger("steady")
    wait_until_final(fleet, [*runs, after], seconds=20)
    told = {entry.run: entry.detail for entry in fleet.journal.entries("left")}
    assert told == dict.fromkeys(runs, "MaxDurationExceeded")
    assert len({entry.pid for entry in fleet.journal.entries("start")}) == 1
    assert_sound(fleet, [*runs, after], statuses={"TIMED_OUT": len(runs), "COMPLETED": 1})
    assert_hooked(fleet, dict.fromkeys(runs, "TIMED_OUT"))
    assert_errors(fleet, len(runs))


def test_an_overdue_function_that_cannot_be_told_is_stopped_with_its_child(fleet: Fleet) -> None:
    fleet.registered(fleet.worker(concurrency=2), fleet.beat())
    neighbour = fleet.trigger("gated-once", {"gate": "open"})
    tasks = ("brief-stubborn", "brief-gil-holder", "brief-async-spinner")
    runs = [fleet.trigger(task) for task in tasks]
    wait_until_final(fleet, runs, seconds=40)
    fleet.open_gate("open")
    after = fleet.trigger("steady")
    wait_until_final(fleet, [neighbour, after], seconds=20)
    assert_sound(fleet, [*runs, neighbour, after], statuses={"TIMED_OUT": 3, "COMPLETED": 2})
    assert_hooked(fleet, dict.fromkeys(runs, "TIMED_OUT") | {neighbour: "COMPLETED"})
    assert_errors(fleet, 3)


@pytest.mark.parametrize("task", ["brief-gil-holder", "brief-async-spinner"])
def test_an_overdue_thread_is_stopped_with_its_worker_and_the_others_go_back(
    fleet: Fleet, task: str
) -> None:
    worker = fleet.worker(pool="threads", concurrency=2)
    fleet.registered(worker, fleet.beat())
    neighbour = fleet.trigger("gated-once", {"gate": "open"})
    fleet.started(neighbour)
    run = fleet.trigger(task)
    wait_until(lambda: not worker.is_alive, 20, "the hard stop")
    fleet.open_gate("open")
    fleet.registered(fleet.worker(pool="threads"))
    wait_until_final(fleet, [run, neighbour], seconds=20)
    assert_sound(fleet, [run, neighbour], statuses={"TIMED_OUT": 1, "COMPLETED": 1})
    assert_hooked(fleet, {run: "TIMED_OUT", neighbour: "COMPLETED"})
    assert_errors(fleet, 1)


def assert_errors(fleet: Fleet, count: int) -> None:
    """Stopped in their first attempt, and nobody tried again."""
    rows = fleet.rows(
        "SELECT attempt_number, error->>'name', error->>'message' LIKE '%%of 1 s.%%'"
        " FROM jobs_run WHERE status = 'TIMED_OUT'"
    )
    assert rows == [(1, "MaxDurationExceeded", True)] * count
