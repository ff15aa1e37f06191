"""Queues held back and let go at run time: nothing starts that must not, and nothing is lost."""

from __future__ import annotations

from uuid import UUID

import pytest
from asgiref.sync import async_to_sync
from django.db import transaction

from jobs_platform import Queue, queues
from jobs_platform.domain.errors import InvalidOptionError, UnknownQueueError
from jobs_platform.domain.lifecycle import Status
from jobs_platform.engine.queue_due import queue_due
from jobs_platform.engine.slots import admit
from jobs_platform.models import Environment, Slot
from tests.world import World, completed, retried, rolled_back

MAIL = "mail"


@pytest.fixture
def mail(world: World) -> World:
    """A world with the queue `mail`, which has no limits."""
    make(world, MAIL)
    return world


def make(world: World, name: str, **facts: object) -> None:
    columns = ["environment_id", "name", *facts]
    values = [world.environment_id, name, *facts.values()]
    marks = ", ".join(["%s"] * len(values))
    world.sql(f"INSERT INTO jobs_queue ({', '.join(columns)}) VALUES ({marks})", values)


def places(world: World) -> tuple[int, int, int]:
    """How many runs are claimable, waiting, timed."""
    ((claimable, waiting, timed),) = world.sql(
        "SELECT count(*) FILTER (WHERE is_claimable), count(*) FILTER (WHERE is_waiting),"
        " count(*) FILTER (WHERE is_timed) FROM jobs_run"
    )
    return claimable, waiting, timed


def holders() -> set[UUID]:
    return set(Slot.objects.values_list("run_id", flat=True))


def test_a_queue_is_shown_with_its_limits_and_its_runs(world: World) -> None:
    make(world, MAIL, concurrency_limit=2, rate_limit=5, rate_window_seconds=60.0)
    world.trigger_many(4, queue=MAIL)
    world.claim_one()
    info = queues.retrieve(MAIL)
    assert (info.concurrency_limit, info.effective_limit, info.override_limit) == (2, 2, None)
    assert (info.running, info.slots_in_use, info.queued) == (1, 2, 3)
    assert info.rate_limit is not None
    assert (info.rate_limit.limit, info.rate_limit.window) == (5, 60.0)
    assert (info.is_paused, info.is_queued_capped) == (False, False)


def test_runs_of_a_queue_without_limits_are_counted_too(mail: World) -> None:
    mail.trigger_many(3, queue=MAIL)
    mail.claim_one()
    info = queues.retrieve(Queue(MAIL))
    assert (info.running, info.slots_in_use, info.queued) == (1, 0, 2)


def test_queues_are_listed_by_name_in_pages(world: World) -> None:
    for name in ("b", "a", "c"):
        make(world, name)
    assert [info.name for info in queues.list(limit=2)] == ["a", "b"]
    assert [info.name for info in queues.list(after="b")] == ["c"]
    assert queues.list(environment="staging") == []


@pytest.mark.parametrize(
    "act",
    [
        queues.retrieve,
        queues.pause,
        queues.resume,
        queues.reset_concurrency_limit,
        lambda queue: queues.override_concurrency_limit(queue, 3),
    ],
)
def test_an_unknown_queue_is_refused_with_the_nearest_names(mail: World, act) -> None:
    with pytest.raises(UnknownQueueError, match='Did you mean "mail"'):
        act("mial")


@pytest.mark.parametrize("limit", [0, -1, True, 1.5, "3", 10**9])
def test_a_limit_that_counts_no_runs_is_refused(mail: World, limit) -> None:
    with pytest.raises(InvalidOptionError, match="is not a whole number"):
        queues.override_concurrency_limit(MAIL, limit)
    assert queues.retrieve(MAIL).override_limit is None


def test_nothing_of_a_paused_queue_starts(mail: World) -> None:
    mail.trigger_many(2, queue=MAIL)
    info = queues.pause(MAIL, by="mary")
    assert (info.is_paused, info.paused_by) == (True, "mary")
    mail.trigger(queue=MAIL)
    other = mail.trigger(queue="other")
    assert [run.id for run in mail.claim(limit=9)] == [other]
    assert places(mail) == (0, 3, 0)  # nobody looks at them in vain


def test_what_executes_when_its_queue_is_paused_goes_on(mail: World) -> None:
    run = mail.executing(queue=MAIL)
    queues.pause(MAIL)
    mail.exchange([completed(run)])
    assert mail.status(run.id) == Status.COMPLETED


def test_a_pause_keeps_who_made_it_first(mail: World) -> None:
    first = queues.pause(MAIL, by="mary")
    assert queues.pause(MAIL, by="john") == first


def test_resuming_starts_what_has_waited_and_wakes_workers(mail: World) -> None:
    runs = mail.trigger_many(3, queue=MAIL)
    queues.pause(MAIL, by="mary")
    mail.bell.rings.clear()
    info = queues.resume(MAIL)
    assert (info.is_paused, info.paused_at, info.paused_by) == (False, None, "")
    assert mail.bell.counts["default"] >= 1
    claimed = mail.claim(limit=9)
    assert [run.id for run in claimed] == runs
    mail.exchange([completed(run) for run in claimed], with_slots=runs)
    assert holders() == set()
    assert queues.resume(MAIL) == queues.retrieve(MAIL)


def test_resuming_keeps_the_limit(world: World) -> None:
    make(world, MAIL, concurrency_limit=1)
    world.trigger_many(3, queue=MAIL)
    queues.pause(MAIL)
    queues.resume(MAIL)
    assert len(world.claim(limit=9)) == 1


def test_a_pause_that_is_rolled_back_was_none(mail: World) -> None:
    mail.trigger(queue=MAIL)
    with rolled_back():
        queues.pause(MAIL)
    assert not queues.retrieve(MAIL).is_paused
    assert len(mail.claim(limit=9)) == 1


def test_inside_a_transaction_the_pause_begins_with_the_commit(mail: World) -> None:
    mail.trigger(queue=MAIL)
    with transaction.atomic():
        queues.pause(MAIL)
        assert places(mail) == (1, 0, 0)
    assert places(mail) == (0, 1, 0)


def test_a_paused_environment_starts_nothing_until_it_is_resumed(mail: World) -> None:
    mail.trigger(queue=MAIL)
    try:
        pause = queues.pause_all(by="mary")
        assert pause.is_paused
        assert queues.pause_all(by="john") == pause
        assert (Environment.objects.get().paused_by, mail.claim(limit=9)) == ("mary", ())
    finally:
        mail.bell.rings.clear()
        assert not queues.resume_all().is_paused
    assert mail.bell.counts["default"] == 1
    assert len(mail.claim(limit=9)) == 1


def test_an_override_raises_the_limit_at_once(world: World) -> None:
    make(world, MAIL, concurrency_limit=1)
    world.trigger_many(5, queue=MAIL)
    info = queues.override_concurrency_limit(MAIL, 3, by="mary")
    assert (info.concurrency_limit, info.override_limit, info.effective_limit) == (1, 3, 3)
    assert (info.overridden_by, info.overridden_at is not None) == ("mary", True)
    assert len(world.claim(limit=9)) == 3


def test_an_override_that_lowers_the_limit_holds_from_the_next_start_on(world: World) -> None:
    make(world, MAIL, concurrency_limit=3)
    world.trigger_many(5, queue=MAIL)
    claimed = world.claim(limit=9)
    queues.override_concurrency_limit(MAIL, 1)
    for run in claimed[:2]:
        world.exchange([completed(run)], with_slots=[run.id])
        assert admit(world.line, world.environment_id, MAIL)["default"] == 0
    world.exchange([completed(claimed[2])], with_slots=[claimed[2].id])
    assert admit(world.line, world.environment_id, MAIL)["default"] == 1


def test_a_reset_lets_the_limit_of_the_code_hold_again(world: World) -> None:
    make(world, MAIL, concurrency_limit=2)
    world.trigger_many(5, queue=MAIL)
    queues.override_concurrency_limit(MAIL, 1, by="mary")
    info = queues.reset_concurrency_limit(MAIL)
    assert (info.override_limit, info.overridden_at, info.overridden_by) == (None, None, "")
    assert (info.effective_limit, len(world.claim(limit=9))) == (2, 2)


def test_an_override_counts_what_began_before_there_was_a_limit(mail: World) -> None:
    mail.trigger_many(6, queue=MAIL)
    live = mail.claim(limit=2)
    info = queues.override_concurrency_limit(MAIL, 3)
    assert holders() >= {run.id for run in live}
    assert (info.running, info.slots_in_use, info.queued) == (2, 3, 4)
    third = mail.claim_one()
    assert mail.claim(limit=9) == ()
    assert third.needs_slot


def test_attempts_that_began_before_the_limit_make_room_when_they_end(mail: World) -> None:
    mail.trigger_many(4, queue=MAIL)
    first, second = mail.claim(limit=2)
    queues.override_concurrency_limit(MAIL, 2)
    assert mail.claim(limit=9) == ()
    # Their worker knows of no slot: the clock, or the next admission, frees it.
    mail.exchange([completed(first), retried(second, after=60.0)])
    assert admit(mail.line, mail.environment_id, MAIL)["default"] == 2
    assert not holders() & {first.id, second.id}
    assert mail.row(second.id).is_timed


def test_an_attempt_given_back_keeps_the_slot_it_got_by_an_override(mail: World) -> None:
    run = mail.executing(queue=MAIL)
    queues.override_concurrency_limit(MAIL, 1)
    mail.line.execute("give_back", {"run_ids": [run.id], "tokens": [run.fencing_token]})
    again = mail.claim_one()
    assert (again.id, again.needs_slot, holders()) == (run.id, True, {run.id})
    mail.exchange([completed(again)], with_slots=[again.id])
    assert holders() == set()


def test_retries_of_a_queue_that_gets_a_limit_wait_when_they_are_due(mail: World) -> None:
    run = mail.executing(queue=MAIL)
    mail.finish(retried(run, after=60.0))
    queues.override_concurrency_limit(MAIL, 1)
    assert places(mail) == (0, 0, 1)
    mail.sql("UPDATE jobs_run SET run_at = now()")
    assert set(queue_due(mail.line, environment_id=mail.environment_id).waiting) == {MAIL}
    assert places(mail) == (0, 1, 0)


def test_resetting_a_queue_without_limits_lets_all_go_and_forgets_slots(mail: World) -> None:
    mail.trigger_many(5, queue=MAIL)
    live = mail.claim(limit=2)
    queues.override_concurrency_limit(MAIL, 2)
    queues.reset_concurrency_limit(MAIL)
    assert len(mail.claim(limit=9)) == 3
    assert not holders() & {run.id for run in live}


def test_runs_of_other_queues_are_left_alone(mail: World) -> None:
    mail.trigger_many(2, queue="other")
    mail.trigger(queue=MAIL)
    queues.override_concurrency_limit(MAIL, 1)
    assert len(mail.claim(limit=9)) == 3


def test_every_call_has_its_twin_for_async_code(mail: World) -> None:
    async def all_of_them() -> list[object]:
        return [
            await queues.aretrieve(MAIL),
            await queues.alist(),
            await queues.apause(MAIL, by="mary"),
            await queues.aresume(MAIL),
            await queues.aoverride_concurrency_limit(MAIL, 2, by="mary"),
            await queues.areset_concurrency_limit(MAIL),
            await queues.apause_all(by="mary"),
            await queues.aresume_all(),
        ]

    assert len(async_to_sync(all_of_them)()) == 8
    assert queues.retrieve(MAIL).override_limit is None
