"""Wake-ups: what Celery makes of ours, and what happens where none comes through."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from time import monotonic

import redis

from jobs_platform.delivery.wakeups import Bell
from jobs_platform.domain.ids import decode, encode
from tests.e2e.audit import assert_hooked, assert_sound, wait_until_final
from tests.e2e.fleet import Fleet
from tests.waiting import wait_until

LIST = "jobs.default"
COPY_WITHOUT_RINGING = """
WITH copied AS (
    INSERT INTO jobs_run (id, environment_id, task_id, status, queue, worker_queue, run_at, payload,
                          max_attempts)
    SELECT gen_random_uuid(), environment_id, task_id, 'QUEUED', queue, worker_queue, now(),
           payload, max_attempts
    FROM jobs_run LIMIT 1 RETURNING *
)
INSERT INTO jobs_event (run_id, version, environment_id, move, attempt_number)
SELECT id, version, environment_id, 'trigger', 0 FROM copied RETURNING run_id
"""


def test_a_real_worker_takes_the_envelope_that_a_trigger_writes(fleet: Fleet) -> None:
    run = fleet.trigger("steady")
    with redis.Redis.from_url(fleet.stack.redis_url) as client:
        wait_until(lambda: client.llen(LIST) == 1, 5, "the message")
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
        wait_until(lambda: client.llen(LIST), 5, "a message")
        assert client.llen(LIST) <= 16


def test_a_ring_wakes_slots_that_stand_by_before_it_writes_messages(fleet: Fleet) -> None:
    url = fleet.stack.redis_url
    with redis.Redis.from_url(url) as client, ThreadPoolExecutor() as pool:
        waiting = [pool.submit(Bell(url).stand_by, "other", name, 20.0) for name in ("1.1", "1.2")]
        wait_until(lambda: client.zcard("jobs.other:standby") == 2, 5, "both to stand by")
        assert Bell(url).ring("other", 3)
        assert [answer.result(timeout=5) for answer in waiting] == [True, True]
        assert client.llen("jobs.other") == 1
        assert not client.exists("jobs.other:standby")


def test_a_slot_for_which_nobody_rings_stands_by_in_vain(fleet: Fleet) -> None:
    url = fleet.stack.redis_url
    with redis.Redis.from_url(url) as client:
        assert Bell(url).stand_by("other", "1.1", 0.01) is False
        assert not client.exists("jobs.other:standby")


def test_a_slot_that_died_while_it_stood_by_is_not_rung_for(fleet: Fleet) -> None:
    url = fleet.stack.redis_url
    with redis.Redis.from_url(url) as client:
        client.zadd("jobs.other:standby", {"1.1": 1})
        assert Bell(url).ring("other")
        assert client.llen("jobs.other") == 1


def test_a_slot_that_is_rung_for_at_its_last_moment_answers(fleet: Fleet) -> None:
    """The ring had taken it from the list; nobody else comes for the run."""
    url = fleet.stack.redis_url
    bell = Bell(url)
    with redis.Redis.from_url(url) as client, ThreadPoolExecutor() as pool:
        waiting = pool.submit(bell.stand_by, "other", "1.1", 0.2)
        wait_until(lambda: client.zrem("jobs.other:standby", "1.1"), 5, "it to stand by")
        assert waiting.result(timeout=5) is True


def test_a_run_whose_wake_up_was_lost_starts_by_the_sweep_of_a_beat(fleet: Fleet) -> None:
    fleet.registered(fleet.worker(), fleet.beat())
    runs = [fleet.trigger("steady")]
    wait_until_final(fleet, runs, seconds=20)
    for _ in range(3):
        fleet.stack.valkey.flush()
        runs.append(encode("run", fleet.value(COPY_WITHOUT_RINGING)))
        wait_until_final(fleet, runs, seconds=10)
    assert_sound(fleet, runs)
    waited = fleet.rows(
        "SELECT extract(epoch FROM started_at - created_at)::float FROM jobs_run"
        " WHERE id = ANY(%s)",
        [decode("run", run) for run in runs[1:]],
    )
    assert min(waited)[0] < 1.5, waited


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
