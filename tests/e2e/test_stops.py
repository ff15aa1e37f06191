"""How workers end: asked politely, asked twice, too late, by a crash, or one child at a time."""

from __future__ import annotations

import os
import signal

import psycopg
import pytest

from jobs_platform.domain.ids import decode
from tests.e2e.audit import assert_hooked, assert_sound, wait_until_final
from tests.e2e.fleet import Fleet
from tests.waiting import wait_until

POOLS = ["prefork", "threads"]
IN_SOAK = pytest.mark.soak


@pytest.mark.parametrize("pool", POOLS)
def test_sigterm_lets_running_work_finish_and_leaves_the_rest(fleet: Fleet, pool: str) -> None:
    worker = fleet.worker(pool=pool)
    running = fleet.trigger_many("gated", [{"gate": "open"}] * 2)
    fleet.started(*running)
    queued = fleet.trigger_many("gated", [{"gate": "open"}] * 20)
    worker.signal(signal.SIGTERM)
    wait_until(lambda: "Warm shutdown" in worker.said(), 10, "the beginning of the shutdown")
    fleet.open_gate("open")
    assert worker.wait() == 0
    assert states(fleet, running) == {"COMPLETED"}
    assert states(fleet, queued) == {"QUEUED"}
    assert attempts(fleet, queued) == {0}
    wait_until(lambda: not fleet.marked(), 5, "the end of all processes")
    fleet.worker(pool=pool)
    fleet.beat()
    wait_until_final(fleet, running + queued, seconds=30)
    assert_sound(fleet, running + queued)
    assert_hooked(fleet, dict.fromkeys(running + queued, "COMPLETED"))


@pytest.mark.parametrize("pool", ["prefork", pytest.param("threads", marks=IN_SOAK)])
def test_what_a_deadline_of_a_stop_ends_is_given_back_unused(fleet: Fleet, pool: str) -> None:
    worker = fleet.worker(pool=pool, SHUTDOWN_TIMEOUT_SECONDS=1)
    runs = fleet.trigger_many("gated-once", [{"gate": "open"}] * 2)
    fleet.started(*runs)
    worker.signal(signal.SIGTERM)
    worker.wait(seconds=8)
    wait_until(lambda: not fleet.marked(), 5, "the end of all processes")
    assert states(fleet, runs) == {"QUEUED"}
    assert attempts(fleet, runs) == {0}
    fleet.open_gate("open")
    fleet.worker(pool=pool)
    wait_until_final(fleet, runs, seconds=30)
    assert_sound(fleet, runs)


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=IN_SOAK)])
def test_a_signal_to_the_whole_group_uses_no_attempt(fleet: Fleet, number: signal.Signals) -> None:
    worker = fleet.worker()
    runs = fleet.trigger_many("gated-once", [{"gate": "open"}] * 2)
    fleet.started(*runs)
    os.killpg(worker.pid, number)
    wait_until(lambda: "Warm shutdown" in worker.said(), 10, "the beginning of the shutdown")
    fleet.open_gate("open")
    worker.wait()
    fleet.worker()
    wait_until_final(fleet, runs, seconds=30)
    assert_sound(fleet, runs)


def test_a_second_sigint_ends_a_worker_at_once_and_gives_back(fleet: Fleet) -> None:
    worker = fleet.worker()
    runs = fleet.trigger_many("gated-once", [{"gate": "open"}] * 2)
    fleet.started(*runs)
    worker.signal(signal.SIGINT)
    wait_until(lambda: "Warm shutdown" in worker.said(), 10, "the beginning of the shutdown")
    worker.signal(signal.SIGINT)
    worker.wait(seconds=8)
    wait_until(lambda: not fleet.marked(), 5, "the end of all processes")
    assert states(fleet, runs) == {"QUEUED"}
    fleet.open_gate("open")
    fleet.worker()
    wait_until_final(fleet, runs, seconds=30)
    assert_sound(fleet, runs)


def test_a_killed_childs_run_starts_again_within_two_seconds(fleet: Fleet) -> None:
    worker, beat = fleet.worker(), fleet.beat()
    fleet.registered(worker, beat)
    waited = []
    for gate in ("one", "two", "three"):
        run = fleet.trigger("gated", {"gate": gate})
        fleet.started(run)
        (start,) = fleet.journal.entries("start", run=run)
        os.kill(start.pid, signal.SIGKILL)
        wait_until(
            lambda run=run: len(fleet.journal.entries("start", run=run)) == 2, 15, "attempt 2"
        )
        fleet.open_gate(gate)
        wait_until_final(fleet, [run], seconds=10)
        waited.append(seconds_between(fleet, run, "retry", "claim"))
    assert min(waited) < 2
    runs = sorted(fleet.journal.count("end"))
    assert_sound(fleet, runs)
    assert attempts(fleet, runs) == {2}


@pytest.mark.parametrize("pool", POOLS)
def test_a_killed_worker_loses_its_runs_to_another_at_once(fleet: Fleet, pool: str) -> None:
    first = fleet.worker(pool=pool, LEASE_SECONDS=60)
    fleet.registered(first, fleet.beat())
    run = fleet.trigger("gated", {"gate": "open"})
    fleet.started(run)
    second = fleet.worker(pool=pool)
    fleet.registered(second)
    first.kill()
    wait_until(lambda: len(fleet.journal.entries("start", run=run)) == 2, 10, "attempt 2")
    fleet.open_gate("open")
    wait_until_final(fleet, [run], seconds=10)
    assert_sound(fleet, [run])


def test_a_killed_hosts_runs_start_again_after_its_lease(fleet: Fleet) -> None:
    host = fleet.worker(LEASE_SECONDS=4)
    fleet.registered(host, fleet.beat())
    runs = fleet.trigger_many("gated", [{"gate": "open"}] * 2)
    fleet.started(*runs)
    host.kill_host()
    fleet.registered(fleet.worker())
    wait_until(
        lambda: all(len(fleet.journal.entries("start", run=run)) == 2 for run in runs), 15, "them"
    )
    fleet.open_gate("open")
    wait_until_final(fleet, runs, seconds=10)
    assert_sound(fleet, runs)
    assert_hooked(fleet, dict.fromkeys(runs, "COMPLETED"))


def test_a_run_that_kills_its_process_each_time_ends_as_crashed(fleet: Fleet) -> None:
    fleet.registered(fleet.worker(), fleet.beat())
    crashing = fleet.trigger("segfault")
    calm = fleet.trigger_many("steady", [{}] * 50)
    wait_until_final(fleet, [crashing, *calm], seconds=30)
    assert_sound(fleet, [crashing, *calm], statuses={"CRASHED": 1, "COMPLETED": 50})
    assert attempts(fleet, [crashing]) == {2}
    assert_hooked(fleet, {crashing: "CRASHED"})
    (told,) = fleet.journal.entries("on_failure")
    assert told.detail == "WorkerLost"
    assert told.pid not in {entry.pid for entry in fleet.journal.entries("start", run=crashing)}


@pytest.mark.parametrize("pool", [pytest.param("prefork", marks=IN_SOAK), "threads"])
def test_no_exception_of_a_function_loses_its_run(fleet: Fleet, pool: str) -> None:
    fleet.registered(fleet.worker(pool=pool), fleet.beat())
    runs = [fleet.trigger("raises", {"what": what}) for what in ("KeyboardInterrupt", "SystemExit")]
    wait_until_final(fleet, runs, seconds=40)
    wait_until(lambda: not fleet.value("SELECT count(*) FROM jobs_hook_call"), 10, "hook calls")
    for run in runs:
        assert states(fleet, [run]) <= {"FAILED", "CRASHED"}
        assert attempts(fleet, [run]) == {3}
    assert_hooked(fleet, dict.fromkeys(runs, "FAILED"))
    wait_until(lambda: not fleet.value("SELECT count(*) FROM jobs_claim"), 10, "all claims")


def test_attempts_end_before_the_lease_that_a_frozen_postgres_does_not_renew(fleet: Fleet) -> None:
    worker = fleet.worker(LEASE_SECONDS=4)
    fleet.registered(worker)
    run = fleet.trigger("gated", {"gate": "open"})
    fleet.started(run)
    (start,) = fleet.journal.entries("start", run=run)
    fleet.stack.postgres.freeze()
    try:
        wait_until(lambda: not worker.is_alive, 8, "the end of the worker")
        assert start.pid not in {process.pid for process in fleet.marked()}
    finally:
        fleet.stack.postgres.thaw()
    fleet.open_gate("open")
    fleet.registered(fleet.worker(), fleet.beat())
    wait_until_final(fleet, [run], seconds=20)
    assert_sound(fleet, [run])


@IN_SOAK
def test_a_locked_run_of_a_dead_child_holds_up_neither_worker_nor_beat(fleet: Fleet) -> None:
    worker = fleet.worker(LEASE_SECONDS=4)
    fleet.registered(worker, fleet.beat())
    run = fleet.trigger("gated", {"gate": "open"})
    fleet.started(run)
    (start,) = fleet.journal.entries("start", run=run)
    with psycopg.connect(fleet.stack.database_url) as somebody:
        somebody.execute("SELECT FROM jobs_run WHERE id = %s FOR UPDATE", [decode("run", run)])
        os.kill(start.pid, signal.SIGKILL)
        lease = fleet.value("SELECT max(lease_until) FROM jobs_worker")
        others = fleet.trigger_many("steady", [{}] * 20)
        wait_until_final(fleet, others, seconds=20)
        wait_until(
            lambda: fleet.value("SELECT now() > %s + interval '2 s'", lease), 10, "a lease's time"
        )
        assert worker.is_alive
        assert states(fleet, [run]) == {"EXECUTING"}
    fleet.open_gate("open")
    wait_until_final(fleet, [run], seconds=20)
    assert_sound(fleet, [run, *others])
    assert attempts(fleet, [run]) == {2}


def states(fleet: Fleet, runs: list[str]) -> set[str]:
    return {row[0] for row in of(fleet, "status", runs)}


def attempts(fleet: Fleet, runs: list[str]) -> set[int]:
    return {row[0] for row in of(fleet, "attempt_number", runs)}


def of(fleet: Fleet, column: str, runs: list[str]) -> list[tuple]:
    ids = [decode("run", run) for run in runs]
    return fleet.rows(f"SELECT {column} FROM jobs_run WHERE id = ANY(%s)", ids)


def seconds_between(fleet: Fleet, run: str, move: str, following: str) -> float:
    """From the last event of one kind to the last of another."""
    seconds: float = fleet.value(
        "SELECT extract(epoch FROM max(created_at) FILTER (WHERE move = %s)"
        " - max(created_at) FILTER (WHERE move = %s))::float FROM jobs_event WHERE run_id = %s",
        following,
        move,
        decode("run", run),
    )
    return seconds
