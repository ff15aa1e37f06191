"""A slot loses its connection at every point of its work: each run still ends exactly once."""

from __future__ import annotations

import threading

import pytest

from jobs_platform.domain.lifecycle import Status
from jobs_platform.engine.worker import give_back_unknown
from jobs_platform.models import Attempt, Claim, HookCall, LogLine
from tests.runtime.bench import Bench, LossyLine, terminate
from tests.world import completed, ended, log_entry

RUNS = 9
POINTS = 14
"""More statements than the slot needs for so many runs."""


def lossy_slot(bench: Bench, losses: dict[int, str]):
    slot = bench.new_slot(lossy=True)
    assert isinstance(slot._line, LossyLine)
    slot._line.losses = dict(losses)
    return slot


def test_connection_lost_while_a_run_executes_costs_nothing(bench: Bench) -> None:
    def lose(run, _):
        terminate(bench.world, bench.slot._line.connection.info.backend_pid)
        return completed(run, "1")

    bench.executor.acts["task"] = lose
    ids = bench.world.trigger_many(3)
    bench.slot.drain("default")
    assert bench.statuses(ids) == [Status.COMPLETED] * 3
    assert bench.executor.executed == ids
    bench.world.check()


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("point", range(1, POINTS))
def test_connection_lost_at_one_point(bench: Bench, point: int, moment: str) -> None:
    """`before`: the statement was not executed; `after`: it was, and its reply was lost."""

    def talk(run, _):
        bench.logs.add(log_entry(run, str(run.id)))
        if run.payload == "1" and run.attempt_number == 1:
            return ended(run, Status.QUEUED, retry_after_seconds=0.0)
        return completed(run, has_final_hooks=run.payload == "2")

    bench.executor.acts["task"] = talk
    ids = [bench.world.trigger(payload=str(n % 3)) for n in range(RUNS)]
    slot = lossy_slot(bench, {point: moment})
    bench.drain_everything(slot)
    slot.drain("default")
    assert bench.statuses(ids) == [Status.COMPLETED] * RUNS
    attempts = {run_id: 2 if n % 3 == 1 else 1 for n, run_id in enumerate(ids)}
    for run_id, count in attempts.items():
        assert Attempt.objects.filter(run_id=run_id).count() == count
        assert bench.executor.executed.count(run_id) == count
    hooked = [run_id for n, run_id in enumerate(ids) if n % 3 == 2]
    called = [run_id for run_id, _ in bench.executor.hooks]
    assert set(called) == set(hooked)
    assert len(called) <= len(hooked) + len(hooked) * (moment == "after")
    assert LogLine.objects.values("message").distinct().count() == RUNS
    assert not HookCall.objects.exists()
    assert not Claim.objects.exists()
    bench.world.check()


def test_connection_lost_again_and_again(bench: Bench) -> None:
    ids = bench.world.trigger_many(RUNS)
    moments = {n: "after" if n % 2 else "before" for n in range(2, 18, 3)}
    slot = lossy_slot(bench, moments)
    bench.drain_everything(slot)
    assert bench.statuses(ids) == [Status.COMPLETED] * RUNS
    assert Attempt.objects.count() == RUNS
    bench.world.check()


def test_claim_whose_reply_was_lost_goes_back_before_the_next_one(bench: Bench) -> None:
    ids = bench.world.trigger_many(2)
    slot = lossy_slot(bench, {1: "after"})
    slot._pace.limit = 2
    slot.drain("default")
    assert bench.world.moves(ids[0]) == ["trigger", "claim", "give_back", "claim", "complete"]
    assert bench.executor.executed == ids
    bench.world.check()


def test_slot_that_knows_nothing_gives_back_everything(bench: Bench) -> None:
    bench.world.trigger_many(3)
    bench.world.claim(limit=3)
    assert give_back_unknown(bench.world.line, bench.world.holder.worker_id, 1, known=[]) == 3
    bench.world.check()


def test_error_that_is_no_lost_connection_keeps_the_results(bench: Bench) -> None:
    """A statement timeout, a full disk: the drain ends, the next one writes what was done."""
    run_id = bench.world.trigger()
    line = bench.slot._line
    execute = line.execute
    calls = []

    def fail_once(name, params):
        calls.append(name)
        if calls.count("finish_and_claim") == 2 and name == "finish_and_claim":
            raise MemoryError
        return execute(name, params)

    line.execute = fail_once
    with pytest.raises(MemoryError):
        bench.slot.drain("default")
    bench.slot.drain("default")
    assert bench.executor.executed == [run_id]
    assert bench.world.status(run_id) == Status.COMPLETED
    assert bench.world.moves(run_id) == ["trigger", "claim", "complete"]


def test_slot_waits_for_what_the_watch_is_writing(bench: Bench) -> None:
    """Else it would forget the claim while its results hang between two connections."""
    first, second = bench.world.trigger_many(2)
    bench.slot._pace.limit = 2
    line = LossyLine(bench.world, "lossy watch")
    held = bench.world.connect()
    entered = threading.Event()

    def act(run, _):
        if run.id == second:
            held.execute("SELECT 1 FROM jobs_run WHERE id = %s FOR UPDATE", [first])
            writing.append(bench.beside.start_blocked(lambda: bench.slot.write_outcomes(line)))
            entered.set()
        return completed(run)

    writing = []
    bench.executor.acts["task"] = act
    draining = bench.start_drain()
    assert entered.wait(20)
    assert bench.world.claims() == [first, second]
    terminate(bench.world, line.connection.info.backend_pid)
    with pytest.raises(Exception, match="database"):
        writing[0].result(20)
    held.rollback()
    assert draining.result(20) == 2
    assert bench.statuses([first, second]) == [Status.COMPLETED] * 2
    line.close()
    bench.world.check()
