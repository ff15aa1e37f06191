"""Limits in two connections at once: never exceeded, and no slot is lost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import transaction

from jobs_platform.domain.lifecycle import Status
from jobs_platform.engine.cancel import cancel
from jobs_platform.engine.recover import recover_worker
from jobs_platform.engine.slots import admit_freed
from jobs_platform.engine.worker import give_back
from tests.limited import a_queue, claimable, guarded, let_in, misheld_slots, slots, waiting
from tests.races.beside import TIMEOUT, Beside
from tests.world import World, completed, retried, rolled_back


@pytest.fixture(autouse=True)
def audited(world: World) -> Iterator[None]:
    with guarded(world):
        yield
    assert misheld_slots(world.line) == []


def test_two_admissions_at_once_share_the_limit(world: World, beside: Beside) -> None:
    a_queue(world, concurrency_limit=2)
    runs = [waiting(world) for _ in range(5)]
    line = world.new_line()
    with line.transaction():
        assert let_in(world, line) == 2
        other = beside.start_blocked(lambda: let_in(world, world.new_line()))
    assert other.result(TIMEOUT) == 0
    assert claimable(world) == set(runs[:2])


def test_second_admission_gives_away_what_a_first_that_is_rolled_back_took(
    world: World, beside: Beside
) -> None:
    a_queue(world, concurrency_limit=2)
    runs = [waiting(world) for _ in range(3)]
    first = world.connect()
    first.execute(
        "SELECT * FROM jobs_admit(%s::integer, 'vendor', 500, NULL)", [world.environment_id]
    )
    other = beside.start_blocked(lambda: let_in(world, world.new_line()))
    first.rollback()
    assert other.result(TIMEOUT) == 2
    assert claimable(world) == set(runs[:2])


def test_slots_of_a_finish_that_is_not_committed_are_given_to_nobody(world: World) -> None:
    a_queue(world, concurrency_limit=1)
    _, second = waiting(world), waiting(world)
    let_in(world)
    run = world.claim_one()
    line = world.new_line()
    with line.transaction():
        taken = world.exchange([completed(run)], with_slots=[run.id], line=line)
        assert let_in(world) == 0
    assert admit_freed(line, taken.freed) == {"default": 1}
    assert claimable(world) == {second}


def test_a_finish_that_is_rolled_back_keeps_its_slot(world: World) -> None:
    a_queue(world, concurrency_limit=1)
    waiting(world), waiting(world)
    let_in(world)
    run = world.claim_one()
    line = world.new_line()
    line.connection.execute("BEGIN")
    world.exchange([completed(run)], with_slots=[run.id], line=line)
    line.connection.execute("ROLLBACK")
    assert let_in(world) == 0
    assert [run_id for _, run_id in slots(world)] == [run.id]


def test_a_finish_that_commits_while_another_admits_is_counted_by_its_own_admission(
    world: World, beside: Beside
) -> None:
    """The open admission has counted before the commit; the finisher's own comes after it."""
    a_queue(world, concurrency_limit=2)
    runs = [waiting(world) for _ in range(4)]
    let_in(world)
    first, second = world.claim(limit=2)
    admitting = world.new_line()
    world.exchange([completed(first)], with_slots=[first.id])
    with admitting.transaction():
        assert let_in(world, admitting) == 1
        taken = world.exchange([completed(second)], with_slots=[second.id], line=world.new_line())
        own = beside.start_blocked(lambda: admit_freed(world.new_line(), taken.freed))
    assert own.result(TIMEOUT) == {"default": 1}
    assert claimable(world) == set(runs[2:])


def test_finishes_at_once_free_as_many_as_they_are(world: World, beside: Beside) -> None:
    a_queue(world, concurrency_limit=3)
    runs = [waiting(world) for _ in range(9)]
    let_in(world)
    holders = [world.new_worker() for _ in range(3)]
    claimed = [world.claim_one(holder=holder) for holder in holders]

    def finish(index: int) -> int:
        line = world.new_line()
        run = claimed[index]
        taken = world.exchange(
            [completed(run)], with_slots=[run.id], line=line, holder=holders[index]
        )
        return admit_freed(line, taken.freed)["default"]

    finishing = [beside.start(lambda index=index: finish(index)) for index in range(3)]
    assert sum(each.result(TIMEOUT) for each in finishing) == 3
    assert claimable(world) == set(runs[3:6])


def test_a_run_that_is_being_cancelled_is_not_admitted(world: World) -> None:
    a_queue(world, concurrency_limit=1)
    first, second = waiting(world), waiting(world)
    with transaction.atomic():
        cancel(first)
        assert let_in(world, world.new_line()) == 1
    assert claimable(world) == {second}
    assert world.status(first) == Status.CANCELED


def test_a_cancel_that_is_rolled_back_leaves_its_run_to_the_next_admission(world: World) -> None:
    a_queue(world, concurrency_limit=2)
    first, second = waiting(world), waiting(world)
    with rolled_back():
        cancel(first)
        assert let_in(world, world.new_line()) == 1
    assert claimable(world) == {second}
    assert let_in(world) == 1
    assert claimable(world) == {first, second}


def test_cancel_behind_an_admission_frees_what_that_gave(world: World, beside: Beside) -> None:
    a_queue(world, concurrency_limit=1)
    first, second = waiting(world, "a"), waiting(world, "b")
    line = world.new_line()
    with line.transaction():
        let_in(world, line)
        cancelling = beside.start_blocked(lambda: cancel(first))
    assert cancelling.result(TIMEOUT) is True
    assert claimable(world) == {second}
    assert slots(world) == [("", second), ("b", second)]


def test_cancel_behind_a_claim_leaves_the_slot_to_the_attempt(world: World, beside: Beside) -> None:
    a_queue(world, concurrency_limit=1)
    first, second = waiting(world), waiting(world)
    let_in(world)
    line = world.new_line()
    with line.transaction():
        run = world.claim_one(line=line)
        cancelling = beside.start_blocked(lambda: cancel(first))
    assert cancelling.result(TIMEOUT) is True
    assert let_in(world) == 0
    assert world.finish(completed(run)) == frozenset()
    world.stop_attempts(completed(run))
    assert claimable(world) == {second}


def test_cancel_behind_a_give_back_frees_the_slot_at_once(world: World, beside: Beside) -> None:
    a_queue(world, concurrency_limit=1)
    first, second = waiting(world), waiting(world)
    let_in(world)
    run = world.claim_one()
    line = world.new_line()
    with line.transaction():
        give_back(line, [(run.id, run.fencing_token)])
        cancelling = beside.start_blocked(lambda: cancel(first))
    assert cancelling.result(TIMEOUT) is True
    assert claimable(world) == {second}


def test_finish_behind_a_cancel_frees_the_slot_once(world: World, beside: Beside) -> None:
    a_queue(world, concurrency_limit=1)
    first, second, _ = waiting(world), waiting(world), waiting(world)
    let_in(world)
    run = world.claim_one()
    with transaction.atomic():
        cancel(first)
        finishing = beside.start_blocked(
            lambda: world.exchange([completed(run)], with_slots=[run.id], line=world.new_line())
        )
    taken = finishing.result(TIMEOUT)
    assert taken.finished == frozenset()
    world.stop_attempts(completed(run))
    admit_freed(world.line, taken.freed)
    world.stop_attempts(completed(run))
    assert let_in(world) == 0
    assert claimable(world) == {second}


def test_recovery_behind_a_finish_frees_nothing_of_the_next_run(
    world: World, beside: Beside
) -> None:
    a_queue(world, concurrency_limit=1)
    _, second = waiting(world), waiting(world)
    let_in(world)
    run = world.claim_one()
    line = world.new_line()
    with line.transaction():
        taken = world.exchange([completed(run)], with_slots=[run.id], line=line)
        recovering = beside.start(lambda: recover_worker(world.line, world.holder.worker_id))
        assert recovering.result(TIMEOUT).claims == 0
    admit_freed(line, taken.freed)
    assert claimable(world) == {second}
    assert [run_id for _, run_id in slots(world)] == [second]


def test_an_end_that_comes_late_frees_nothing_of_the_next_attempt(world: World) -> None:
    """The slot's run was recovered, admitted and claimed again meanwhile."""
    a_queue(world, concurrency_limit=1)
    first = waiting(world)
    let_in(world)
    late = world.claim_one()
    recover_worker(world.line, world.holder.worker_id)
    world.sql("UPDATE jobs_run SET is_timed = false, is_waiting = true, run_at = now()")
    assert let_in(world) == 1
    other = world.new_worker()
    again = world.claim_one(holder=other)
    assert again.id == first
    taken = world.exchange([completed(late)], with_slots=[first], line=world.new_line())
    assert (taken.finished, taken.freed) == (frozenset(), {})
    assert [run_id for _, run_id in slots(world)] == [first]


def test_a_retry_gives_way_to_who_waited_behind_it(world: World) -> None:
    a_queue(world, concurrency_limit=1)
    first, second = waiting(world), waiting(world)
    let_in(world)
    run = world.claim_one()
    line = world.new_line()
    with line.transaction():
        taken = world.exchange([retried(run)], with_slots=[run.id], line=line)
        assert let_in(world) == 0
    admit_freed(line, taken.freed)
    assert claimable(world) == {second}
    assert world.row(first).is_timed


def test_a_queue_that_is_being_paused_admits_nothing_afterwards(
    world: World, beside: Beside
) -> None:
    a_queue(world, concurrency_limit=1)
    waiting(world)
    pausing = world.connect()
    pausing.execute("UPDATE jobs_queue SET paused_at = now()")
    admitting = beside.start_blocked(lambda: let_in(world, world.new_line()))
    pausing.commit()
    assert admitting.result(TIMEOUT) == 0


def test_a_pause_behind_an_admission_holds_what_that_let_in(world: World) -> None:
    a_queue(world, concurrency_limit=1)
    run_id = waiting(world)
    line = world.new_line()
    with line.transaction():
        assert let_in(world, line) == 1
    world.sql("UPDATE jobs_queue SET paused_at = now()")
    assert world.claim(limit=5) == ()
    world.sql("UPDATE jobs_queue SET paused_at = NULL")
    assert world.claim_one().id == run_id


@pytest.mark.parametrize(("override", "admitted"), [(4, 4), (1, 1)])
def test_an_admission_behind_an_override_goes_by_it(
    world: World, beside: Beside, override: int, admitted: int
) -> None:
    a_queue(world, concurrency_limit=2)
    for _ in range(6):
        waiting(world)
    overriding = world.connect()
    overriding.execute("UPDATE jobs_queue SET override_limit = %s", [override])
    admitting = beside.start_blocked(lambda: let_in(world, world.new_line()))
    overriding.commit()
    assert admitting.result(TIMEOUT) == admitted


def test_an_override_below_what_is_in_flight_admits_when_enough_have_ended(
    world: World,
) -> None:
    a_queue(world, concurrency_limit=3)
    runs = [waiting(world) for _ in range(5)]
    let_in(world)
    claimed = world.claim(limit=3)
    world.sql("UPDATE jobs_queue SET override_limit = 1")
    assert let_in(world) == 0
    for run in claimed[:2]:
        taken = world.exchange([completed(run)], with_slots=[run.id])
        assert admit_freed(world.line, taken.freed) == {}
    taken = world.exchange([completed(claimed[2])], with_slots=[claimed[2].id])
    assert admit_freed(world.line, taken.freed) == {"default": 1}
    assert claimable(world) == {runs[3]}


def test_keys_of_two_open_finishes_are_given_to_nobody(world: World) -> None:
    a_queue(world)
    both, other = waiting(world, "a", further=["b"]), waiting(world, "b")
    assert let_in(world) == 1
    run = world.claim_one()
    assert run.id == both
    line = world.new_line()
    with line.transaction():
        taken = world.exchange([completed(run)], with_slots=[run.id], line=line)
        assert let_in(world) == 0
    assert admit_freed(line, taken.freed) == {"default": 1}
    assert claimable(world) == {other}


def test_an_admission_that_does_not_see_all_commits_admits_nothing(world: World) -> None:
    """Where somebody has chosen another isolation: its counts would be older than its lock."""
    a_queue(world, concurrency_limit=1)
    waiting(world)
    repeatable = world.connect()
    repeatable.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    cursor = repeatable.execute(
        "SELECT * FROM jobs_admit(%s::integer, 'vendor', 500, NULL)", [world.environment_id]
    )
    assert cursor.fetchall() == []
    repeatable.commit()
    assert let_in(world) == 1
