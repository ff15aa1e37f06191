"""Queues held back and let go by a person, while real workers execute their runs."""

from __future__ import annotations

import time

from tests.e2e.audit import assert_sound, wait_until_final
from tests.e2e.fleet import MANAGE, Fleet
from tests.waiting import wait_until

QUEUE = "task/gated-once"


def say(fleet: Fleet, *arguments: str) -> None:
    """`manage.py queues …`, by somebody at a terminal."""
    process = fleet.start("queues", [*MANAGE, "queues", *arguments])
    assert process.wait(seconds=30) == 0, process.said()


def peak(fleet: Fleet, *runs: str) -> int:
    """How many of these runs executed at once."""
    steps = {"start": 1, "end": -1}
    now = most = 0
    for entry in fleet.journal.entries():
        if entry.run not in runs:
            continue
        now += steps.get(entry.what, 0)
        most = max(most, now)
    return most


def test_a_limit_that_a_person_sets_holds_for_runs_that_execute_already(fleet: Fleet) -> None:
    fleet.registered(fleet.worker(concurrency=4), fleet.beat())
    live = [fleet.trigger("gated-once", {"gate": "first"}) for _ in range(2)]
    fleet.started(*live)
    say(fleet, "override", QUEUE, "2", "--by", "mary")
    later = fleet.trigger_many("gated-once", [{"gate": "second"}] * 4)
    other = fleet.trigger("steady")  # there are free slots of workers
    wait_until_final(fleet, [other], seconds=20)
    assert set(fleet.journal.count("start")) == {*live, other}
    fleet.open_gate("first")
    wait_until(
        lambda: len(set(fleet.journal.count("start")) & {*later}) == 2, 20, "the next two runs"
    )
    fleet.open_gate("second")
    wait_until_final(fleet, [*live, *later], seconds=30)
    assert peak(fleet, *later) <= 2
    assert_sound(fleet, [*live, *later, other])
    wait_until(lambda: not fleet.value("SELECT count(*) FROM jobs_slot"), 10, "all slots")


def test_a_paused_queue_starts_nothing_until_it_is_resumed(fleet: Fleet) -> None:
    fleet.registered(fleet.worker(), fleet.beat())
    say(fleet, "pause", QUEUE)
    fleet.open_gate("gate")
    held = fleet.trigger_many("gated-once", [{"gate": "gate"}] * 3)
    other = fleet.trigger("steady")
    wait_until_final(fleet, [other], seconds=20)
    assert set(fleet.journal.count("start")) == {other}
    say(fleet, "resume", QUEUE)
    wait_until_final(fleet, held, seconds=20)
    assert_sound(fleet, [*held, other])
    assert not fleet.value("SELECT count(*) FROM jobs_slot")


def test_a_slot_that_nobody_gave_away_is_given_away_by_the_clock(fleet: Fleet) -> None:
    fleet.registered(fleet.worker(), fleet.beat())
    say(fleet, "override", QUEUE, "1")
    fleet.open_gate("gate")
    fleet.rows(
        "INSERT INTO jobs_slot (environment_id, queue, key, run_id)"
        " SELECT environment_id, name, '', gen_random_uuid() FROM jobs_queue WHERE name = %s",
        QUEUE,
    )
    run = fleet.trigger("gated-once", {"gate": "gate"})
    wait_until(lambda: fleet.value("SELECT is_waiting FROM jobs_run"), 10, "the run to wait")
    began = time.monotonic()
    fleet.rows("DELETE FROM jobs_slot")
    wait_until_final(fleet, [run], seconds=10)
    assert time.monotonic() - began < 3.0
    assert_sound(fleet, [run])
