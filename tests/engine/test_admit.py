"""Admission: slots of queues and keys, given away in turn, never more than there are."""

from __future__ import annotations

import pytest

from jobs_platform.domain.lifecycle import FINAL, Status
from jobs_platform.engine.cancel import cancel
from jobs_platform.engine.recover import recover_worker
from jobs_platform.engine.slots import admit_freed
from jobs_platform.engine.worker import give_back
from tests.limited import QUEUE, a_queue, claimable, let_in, slots, waiting
from tests.world import World, completed, ended, retried


def test_no_more_runs_are_admitted_than_the_queue_may_have(world: World) -> None:
    a_queue(world, concurrency_limit=2)
    runs = [waiting(world) for _ in range(5)]
    assert let_in(world) == 2
    assert claimable(world) == set(runs[:2])
    assert let_in(world) == 0
    assert slots(world) == [("", run_id) for run_id in sorted(runs[:2])]


def test_a_run_that_is_not_admitted_is_not_claimed(world: World) -> None:
    a_queue(world, concurrency_limit=1)
    first, _ = waiting(world), waiting(world)
    let_in(world)
    assert [run.id for run in world.claim(limit=10)] == [first]


def test_a_key_lets_one_run_at_a_time_go_unless_told_otherwise(world: World) -> None:
    a_queue(world)
    first, _ = waiting(world, "a"), waiting(world, "a")
    other = waiting(world, "b")
    assert let_in(world) == 2
    assert claimable(world) == {first, other}


def test_queue_and_key_limits_hold_together(world: World) -> None:
    a_queue(world, concurrency_limit=3, key_concurrency_limit=2)
    for key in ("a", "a", "a", "b", "b", "b"):
        waiting(world, key)
    assert let_in(world) == 3
    held = [key for key, _ in slots(world)]
    assert held.count("") == 3
    assert {held.count("a"), held.count("b")} == {1, 2}


def test_keys_take_turns_whatever_their_backlog(world: World) -> None:
    a_queue(world, concurrency_limit=1, key_concurrency_limit=5)
    hog = [waiting(world, "hog") for _ in range(5)]
    single = waiting(world, "small")
    order = []
    for _ in range(3):
        assert let_in(world) == 1
        run = world.claim_one()
        order.append(run.id)
        taken = world.exchange([completed(run)], with_slots=[run.id])
        assert set(taken.freed) == {(world.environment_id, QUEUE)}
    assert order == [hog[0], single, hog[1]]


def test_within_a_key_the_oldest_goes_first_and_priority_counts(world: World) -> None:
    a_queue(world, concurrency_limit=1)
    old, urgent = waiting(world), waiting(world, priority_seconds=60.0)
    order = []
    for _ in range(2):
        let_in(world)
        run = world.claim_one()
        order.append(run.id)
        world.exchange([completed(run)], with_slots=[run.id])
    assert order == [urgent, old]


@pytest.mark.parametrize("status", sorted(FINAL - {Status.CANCELED, Status.EXPIRED}))
def test_every_end_of_an_attempt_frees_its_slots(world: World, status: Status) -> None:
    a_queue(world, concurrency_limit=1)
    waiting(world, "a", further=["b"])
    let_in(world)
    run = world.claim_one()
    assert [key for key, _ in slots(world)] == ["", "a", "b"]
    outcome = completed(run) if status is Status.COMPLETED else ended(run, status)
    taken = world.exchange([outcome], with_slots=[run.id])
    assert taken.freed == {(world.environment_id, QUEUE): {"", "a", "b"}}
    assert slots(world) == []


def test_a_retry_gives_its_slot_back_and_waits_for_the_clock(world: World) -> None:
    a_queue(world, concurrency_limit=1)
    waiting(world)
    let_in(world)
    run = world.claim_one()
    world.exchange([retried(run, after=60.0)], with_slots=[run.id])
    row = world.row(run.id)
    assert (row.status, row.is_claimable, row.is_timed) == (Status.QUEUED, False, True)
    assert slots(world) == []


def test_a_run_that_is_given_back_keeps_its_slot(world: World) -> None:
    a_queue(world, concurrency_limit=1)
    waiting(world)
    waiting(world)
    let_in(world)
    run = world.claim_one()
    give_back(world.line, [(run.id, run.fencing_token)])
    assert let_in(world) == 0
    assert claimable(world) == {run.id}


def test_freed_slots_go_to_the_next_runs(world: World) -> None:
    a_queue(world, concurrency_limit=2)
    runs = [waiting(world) for _ in range(4)]
    let_in(world)
    claimed = world.claim(limit=2)
    taken = world.exchange(
        [completed(run) for run in claimed], with_slots=[run.id for run in claimed]
    )
    assert admit_freed(world.line, taken.freed) == {"default": 2}
    assert claimable(world) == set(runs[2:])


def test_a_run_with_several_keys_starts_only_if_all_have_room(world: World) -> None:
    a_queue(world)
    waiting(world, "b")
    assert let_in(world) == 1
    both = waiting(world, "a", further=["b"])
    assert let_in(world) == 0
    run = world.claim_one()
    taken = world.exchange([completed(run)], with_slots=[run.id])
    assert admit_freed(world.line, taken.freed) == {"default": 1}
    assert claimable(world) == {both}


def test_a_queue_that_is_paused_admits_and_starts_nothing(world: World) -> None:
    a_queue(world, concurrency_limit=2)
    waiting(world)
    let_in(world)
    waiting(world)
    world.sql("UPDATE jobs_queue SET paused_at = now()")
    assert let_in(world) == 0
    assert world.claim(limit=5) == ()
    world.sql("UPDATE jobs_queue SET paused_at = NULL")
    assert len(world.claim(limit=5)) == 1


def test_a_paused_environment_starts_nothing(world: World) -> None:
    world.trigger()
    world.sql("UPDATE jobs_environment SET paused_at = now()")
    try:
        assert world.claim(limit=5) == ()
    finally:
        world.sql("UPDATE jobs_environment SET paused_at = NULL")
    assert len(world.claim(limit=5)) == 1


def test_an_override_goes_before_the_limit_of_the_code(world: World) -> None:
    a_queue(world, concurrency_limit=1, override_limit=3)
    for _ in range(5):
        waiting(world)
    assert let_in(world) == 3


def test_slots_of_a_lost_worker_go_to_others_with_its_recovery(world: World) -> None:
    a_queue(world, concurrency_limit=1)
    waiting(world)
    second = waiting(world)
    let_in(world)
    world.claim_one()
    recover_worker(world.line, world.holder.worker_id)
    assert claimable(world) == {second}


def test_cancelling_an_admitted_run_frees_its_slot_at_once(world: World) -> None:
    a_queue(world, concurrency_limit=1)
    first, second = waiting(world), waiting(world)
    let_in(world)
    cancel(first)
    assert claimable(world) == {second}


def test_the_slot_of_a_cancelled_attempt_is_held_until_it_has_stopped(world: World) -> None:
    a_queue(world, concurrency_limit=1)
    waiting(world)
    second = waiting(world)
    let_in(world)
    run = world.claim_one()
    cancel(run.id)
    assert let_in(world) == 0
    assert len(slots(world)) == 1
    world.stop_attempts(completed(run))
    assert claimable(world) == {second}


def test_no_more_start_in_a_window_than_the_rate_allows(world: World) -> None:
    a_queue(world, rate_limit=2, rate_window_seconds=60.0)
    runs = [waiting(world) for _ in range(4)]
    assert let_in(world) == 2
    for run in world.claim(limit=5):
        world.exchange([completed(run)], with_slots=[run.id])
    assert let_in(world) == 0
    ((admit_at,),) = world.sql("SELECT admit_at > now() + interval '50 seconds' FROM jobs_queue")
    assert admit_at
    world.sql("UPDATE jobs_event SET created_at = created_at - interval '61 seconds'")
    assert let_in(world) == 2
    assert claimable(world) == set(runs[2:])


def test_what_was_admitted_and_has_not_started_counts_against_the_rate(world: World) -> None:
    a_queue(world, rate_limit=2, rate_window_seconds=0.001)
    for _ in range(4):
        waiting(world)
    assert let_in(world) == 2
    assert let_in(world) == 0


def test_a_start_that_never_happened_does_not_count(world: World) -> None:
    a_queue(world, rate_limit=1, rate_window_seconds=60.0)
    first, second = waiting(world), waiting(world)
    let_in(world)
    cancel(first)
    assert claimable(world) == {second}


def test_each_key_may_have_a_rate_of_its_own(world: World) -> None:
    a_queue(
        world, rate_limit=1, rate_window_seconds=60.0, rate_per_key=True, key_concurrency_limit=9
    )
    first, _ = waiting(world, "a"), waiting(world, "a")
    other = waiting(world, "b")
    assert let_in(world) == 2
    assert claimable(world) == {first, other}


def test_heavier_runs_use_more_of_the_rate(world: World) -> None:
    a_queue(world, rate_limit=5, rate_window_seconds=60.0)
    first = waiting(world, weight=3)
    waiting(world, weight=3)
    assert let_in(world) == 1
    assert claimable(world) == {first}
