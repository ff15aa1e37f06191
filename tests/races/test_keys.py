"""Two triggers at once, with one key: whoever comes second joins, or makes the run after all."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction

from jobs_platform.domain.errors import QueueConflictError
from jobs_platform.engine.trigger import trigger, trigger_batch
from jobs_platform.models import Queue as QueueRow
from jobs_platform.models import Run
from jobs_platform.sdk.debounce import Debounce
from jobs_platform.sdk.ports import KeyClaim, Triggered
from jobs_platform.sdk.queue import Queue
from tests.races.beside import TIMEOUT, Beside
from tests.world import World, completed, ended, request, rolled_back


def keyed(key: str = "k") -> Any:
    return request(idempotency=KeyClaim(key, f"global:{key}", 60.0))


def debounced() -> Any:
    return request(debounce=Debounce("k", "1h"))


def refusing() -> Any:
    limits = Queue("q", on_conflict="refuse")
    return request(queue="q", queue_limits=limits, concurrency_keys=("a",))


@pytest.mark.parametrize("make", [keyed, debounced])
def test_second_trigger_waits_for_the_first_and_joins_its_run(
    world: World, beside: Beside, make: Any
) -> None:
    with transaction.atomic():
        first = trigger(make())
        second = beside.start_blocked(lambda: trigger(make()))
    assert second.result(TIMEOUT) == Triggered(first.id, "task", is_cached=True)
    assert Run.objects.count() == 1
    world.check()


@pytest.mark.parametrize("make", [keyed, debounced])
def test_second_trigger_makes_the_run_when_the_first_is_rolled_back(
    world: World, beside: Beside, make: Any
) -> None:
    with rolled_back():
        first = trigger(make())
        second = beside.start_blocked(lambda: trigger(make()))
    answer = second.result(TIMEOUT)
    assert not answer.is_cached
    assert answer.id != first.id
    assert [row.id for row in Run.objects.all()] == [answer.id]
    world.check()


def test_whoever_begins_last_may_commit_first(world: World, beside: Beside) -> None:
    """The order of the commits decides nothing: the second cannot pass the first."""
    with transaction.atomic():
        world.trigger()
        quick = beside.start(lambda: trigger(keyed())).result(TIMEOUT)
        slow = trigger(keyed())
    assert slow == Triggered(quick.id, "task", is_cached=True)
    assert Run.objects.filter(held_key="global:k").count() == 1


def test_batches_with_the_same_keys_in_another_order_do_not_deadlock(
    world: World, beside: Beside
) -> None:
    keys = [f"key-{n}" for n in range(200)]
    with transaction.atomic():
        _, first = trigger_batch([keyed(key) for key in keys])
        calls = [
            beside.start_blocked(lambda: trigger_batch([keyed(key) for key in reversed(keys)])),
            beside.start_blocked(lambda: trigger_batch([keyed(key) for key in keys]), waiting=2),
        ]
    for call in calls:
        _, answers = call.result(TIMEOUT)
        assert all(answer.is_cached for answer in answers)
        assert {answer.id for answer in answers} == {answer.id for answer in first}
    assert Run.objects.count() == 200


def test_batches_of_which_the_first_is_rolled_back_share_the_keys(
    world: World, beside: Beside
) -> None:
    keys = [f"key-{n}" for n in range(50)]
    with rolled_back():
        trigger_batch([keyed(key) for key in keys])
        calls = [
            beside.start_blocked(lambda: trigger_batch([keyed(key) for key in reversed(keys)])),
            beside.start_blocked(lambda: trigger_batch([keyed(key) for key in keys]), waiting=2),
        ]
    batches = [call.result(TIMEOUT)[1] for call in calls]
    ids = [{answer.id for answer in answers} for answers in batches]
    assert ids[0] == ids[1]
    assert sum(not answer.is_cached for answers in batches for answer in answers) == 50
    assert Run.objects.count() == 50
    world.check()


def test_trigger_waits_for_the_failure_that_frees_its_key_and_makes_a_run(
    world: World, beside: Beside
) -> None:
    first = trigger(keyed())
    run = world.claim_one()
    line = world.new_line()
    with line.transaction():
        world.exchange([ended(run)], line=line)
        second = beside.start_blocked(lambda: trigger(keyed()))
    answer = second.result(TIMEOUT)
    assert (answer.is_cached, answer.id != first.id) == (False, True)
    world.check()


def test_aged_key_that_two_triggers_free_makes_one_run(world: World, beside: Beside) -> None:
    first = trigger(keyed())
    world.finish(completed(world.claim_one()))
    world.sql("UPDATE jobs_run SET key_expires_at = now() - interval '1 second'")
    with transaction.atomic():
        second = trigger(keyed())
        third = beside.start_blocked(lambda: trigger(keyed()))
    assert second.id != first.id
    assert third.result(TIMEOUT) == Triggered(second.id, "task", is_cached=True)
    assert Run.objects.count() == 2


def test_busy_key_is_exact_when_two_trigger_at_once(world: World, beside: Beside) -> None:
    trigger(refusing())  # makes the queue
    world.sql("DELETE FROM jobs_slot; DELETE FROM jobs_run; DELETE FROM jobs_event")
    with transaction.atomic():
        trigger(refusing())
        second = beside.start_blocked(lambda: trigger(refusing()))
    with pytest.raises(QueueConflictError):
        second.result(TIMEOUT)
    assert Run.objects.count() == 1


def test_key_is_not_busy_when_the_first_is_rolled_back(world: World, beside: Beside) -> None:
    with rolled_back():
        trigger(refusing())
        second = beside.start_blocked(lambda: trigger(refusing()))
    answer = second.result(TIMEOUT)
    assert Run.objects.get().id == answer.id


def test_two_triggers_that_make_one_queue_make_it_once(world: World, beside: Beside) -> None:
    limited = request(queue="q", queue_limits=Queue("q", 1))
    with transaction.atomic():
        trigger(limited)
        second = beside.start_blocked(lambda: trigger(limited))
    second.result(TIMEOUT)
    assert QueueRow.objects.get().concurrency_limit == 1
    assert Run.objects.filter(needs_slot=True).count() == 2
