"""The clock's part of admission: what nobody has is given away, whoever forgot it."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import pytest

from jobs_platform.delivery.beat import Clock
from jobs_platform.engine.slots import Swept, admit_waiting
from tests.engine.test_admit import QUEUE, a_queue, claimable, let_in, waiting
from tests.world import World, completed


@pytest.fixture
def clock(world: World) -> Iterator[Clock]:
    made = Clock()
    yield made
    made.close()


def sweep(world: World, **options: object) -> Swept:
    return admit_waiting(world.line, world.environment_id, **options)


def lose(world: World, run_id: UUID) -> None:
    """An attempt ends, and its worker dies before it gives the slot away."""
    run = world.claim_one()
    assert run.id == run_id
    world.exchange([completed(run)], with_slots=[run.id])


def test_a_slot_that_was_freed_without_admission_is_given_away(world: World) -> None:
    a_queue(world, concurrency_limit=1)
    first, second = waiting(world), waiting(world)
    let_in(world)
    lose(world, first)
    assert sweep(world).admitted == {"default": 1}
    assert claimable(world) == {second}


def test_nothing_is_admitted_where_there_is_no_room(world: World) -> None:
    a_queue(world, concurrency_limit=1)
    for _ in range(3):
        waiting(world)
    assert sweep(world).admitted == {"default": 1}
    assert sweep(world).admitted == {}


def test_a_paused_queue_is_passed_over(world: World) -> None:
    a_queue(world, concurrency_limit=1, paused_by="mary")
    waiting(world)
    world.sql("UPDATE jobs_queue SET paused_at = now()")
    assert sweep(world).admitted == {}
    world.sql("UPDATE jobs_queue SET paused_at = NULL")
    assert sweep(world).admitted == {"default": 1}


def test_each_key_with_room_is_found(world: World) -> None:
    a_queue(world)
    for key in ("a", "a", "b", "c"):
        waiting(world, key)
    assert sweep(world).admitted == {"default": 3}
    assert sweep(world).admitted == {}


def test_runs_that_are_not_due_wait_for_their_time(world: World) -> None:
    a_queue(world, concurrency_limit=1)
    run_id = waiting(world)
    world.sql("UPDATE jobs_run SET run_at = now() + interval '1 minute'")
    assert sweep(world).admitted == {}
    world.sql("UPDATE jobs_run SET run_at = now()")
    sweep(world)
    assert claimable(world) == {run_id}


def test_a_sweep_is_bounded_and_goes_on_where_the_last_one_stopped(world: World) -> None:
    a_queue(world)
    for key in ("a", "b", "c"):
        waiting(world, key)
    first = sweep(world, limit=2)
    assert (first.admitted, first.goes_on_after) == ({"default": 2}, (QUEUE, "b"))
    second = sweep(world, limit=2, after=first.goes_on_after)
    assert (second.admitted, second.goes_on_after) == ({"default": 1}, ("", ""))


def test_the_next_start_of_a_rate_limit_is_admitted_when_its_time_has_come(world: World) -> None:
    a_queue(world, rate_limit=1, rate_window_seconds=60.0)
    first, second = waiting(world), waiting(world)
    sweep(world)
    lose(world, first)
    assert sweep(world).admitted == {}
    world.sql("UPDATE jobs_event SET created_at = created_at - interval '61 seconds'")
    world.sql("UPDATE jobs_queue SET admit_at = now()")
    assert sweep(world).admitted == {"default": 1}
    assert claimable(world) == {second}


def test_a_rate_limit_that_nobody_waits_for_asks_for_no_look(world: World) -> None:
    a_queue(world, rate_limit=1, rate_window_seconds=60.0)
    first, _ = waiting(world), waiting(world)
    sweep(world)
    lose(world, first)
    sweep(world)
    assert world.sql("SELECT admit_at IS NOT NULL FROM jobs_queue") == [(True,)]
    world.sql("UPDATE jobs_event SET created_at = created_at - interval '61 seconds'")
    sweep(world)
    assert world.sql("SELECT admit_at FROM jobs_queue") == [(None,)]


def test_the_clock_gives_a_lost_slot_away_at_its_next_look(world: World, clock: Clock) -> None:
    a_queue(world, concurrency_limit=1)
    first, second = waiting(world), waiting(world)
    let_in(world)
    lose(world, first)
    assert clock.look() == 0.0
    assert claimable(world) == {second}
    assert clock.look() > 0.0


def test_the_clock_wakes_when_a_rate_limit_lets_the_next_run_start(
    world: World, clock: Clock
) -> None:
    a_queue(world, rate_limit=1, rate_window_seconds=60.0)
    first, second = waiting(world), waiting(world)
    let_in(world)
    lose(world, first)
    world.sql("UPDATE jobs_event SET created_at = created_at - interval '59.7 seconds'")
    let_in(world)
    assert 0 < clock.look() <= 0.3
    world.sql("UPDATE jobs_event SET created_at = created_at - interval '0.4 seconds'")
    world.sql("UPDATE jobs_queue SET admit_at = now()")
    assert clock.look() == 0.0
    assert claimable(world) == {second}
