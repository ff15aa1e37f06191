"""Wake-ups: what Celery makes of ours, and what happens where none comes through."""

from __future__ import annotations

from time import monotonic

import redis

from tests.e2e.audit import assert_hooked, assert_sound, wait_until_final
from tests.e2e.fleet import Fleet
from tests.waiting import wait_until

LIST = "jobs.default"


def test_a_real_worker_takes_the_envelope_that_a_trigger_writes(fleet: Fleet) -> None:
    run = fleet.trigger("steady")
    with redis.Redis.from_url(fleet.stack.redis_url) as client:
        assert client.llen(LIST) == 1
    worker = fleet.worker()  # without a beat: only the message, or its own ring, can wake it
    wait_until_final(fleet, [run], seconds=30)
    second = fleet.trigger("steady")
    wait_until_final(fleet, [second], seconds=10)
    assert_sound(fleet, [run, second])
    assert "ERROR" not in worker.said()
    with redis.Redis.from_url(fleet.stack.redis_url) as client:
        wait_until(lambda: not client.llen(LIST), 5, "the end of the messages")


def test_many_triggers_leave_few_messages(fleet: Fleet) -> None:
    fleet.trigger_many("steady", [{}] * 1000)
    for _ in range(5):
        fleet.trigger_many("steady", [{}] * 100)
    with redis.Redis.from_url(fleet.stack.redis_url) as client:
        assert 1 <= client.llen(LIST) <= 16


def test_runs_whose_wake_ups_were_flushed_start_by_the_sweep(fleet: Fleet) -> None:
    fleet.registered(fleet.worker(), fleet.beat())
    warm = fleet.trigger("steady")
    wait_until_final(fleet, [warm], seconds=20)
    seconds = []
    runs = [warm]
    for _ in range(3):
        fleet.stack.valkey.kill()
        run = fleet.trigger("steady")
        runs.append(run)
        fleet.stack.valkey.start()
        began = monotonic()
        wait_until_final(fleet, [run], seconds=20)
        seconds.append(monotonic() - began)
    assert_sound(fleet, runs)
    assert min(seconds) < 8, seconds


def test_a_trigger_is_accepted_while_valkey_is_down_and_quickly_while_it_is_frozen(
    fleet: Fleet,
) -> None:
    fleet.registered(fleet.worker(), fleet.beat())
    runs = [fleet.trigger("steady")]
    fleet.stack.valkey.freeze()
    try:
        began = monotonic()
        runs += [fleet.trigger("steady") for _ in range(20)]
        took = monotonic() - began
    finally:
        fleet.stack.valkey.thaw()
    assert took < 5
    fleet.stack.valkey.kill()
    runs += [fleet.trigger("steady") for _ in range(20)]
    fleet.stack.valkey.start()
    wait_until_final(fleet, runs, seconds=30)
    assert_sound(fleet, runs)


def test_a_long_run_delays_none_of_the_short_ones_around_it(fleet: Fleet) -> None:
    fleet.registered(fleet.worker(concurrency=2), fleet.beat())
    before = fleet.trigger_many("steady", [{"seconds": 0}] * 300)
    long = fleet.trigger("gated", {"gate": "open"})
    after = fleet.trigger_many("steady", [{"seconds": 0}] * 700)
    wait_until_final(fleet, before + after, seconds=60)
    assert fleet.value("SELECT count(*) FROM jobs_run WHERE status = 'EXECUTING'") == 1
    fleet.open_gate("open")
    wait_until_final(fleet, [long], seconds=10)
    assert_sound(fleet, [*before, long, *after])


def test_a_function_that_holds_the_gil_delays_none_and_is_stopped_hard(fleet: Fleet) -> None:
    fleet.registered(fleet.worker(concurrency=2), fleet.beat())
    warm = fleet.trigger_many("steady", [{"seconds": 0}] * 300)
    long = fleet.trigger("holds-the-gil", {"numbers": 10**11})
    after = fleet.trigger_many("steady", [{"seconds": 0}] * 300)
    wait_until_final(fleet, warm + after, seconds=60)
    fleet.started(long)
    assert fleet.call("cancel", run=long)
    wait_until(lambda: fleet.journal.count("on_cancel")[long], 20, "the hook of the stopped run")
    assert_sound(fleet, [*warm, long, *after], statuses={"COMPLETED": 600, "CANCELED": 1})
    assert_hooked(fleet, {long: "CANCELED"})
