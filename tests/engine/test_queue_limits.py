"""Queues at the trigger: rows made on the way, runs that wait, and runs that are refused."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction

from jobs_platform.domain.errors import InvalidOptionError, QueueConflictError, QueueFullError
from jobs_platform.domain.lifecycle import Status
from jobs_platform.engine.cancel import cancel
from jobs_platform.engine.trigger import trigger, trigger_batch
from jobs_platform.models import Batch, Run
from jobs_platform.models import Queue as QueueRow
from jobs_platform.sdk.ports import KeyClaim
from jobs_platform.sdk.queue import Queue, RateLimit
from tests.world import World, completed, request, rolled_back


def make_queue(world: World, name: str = "q", **columns: Any) -> None:
    names = ", ".join(["environment_id", "name", *columns])
    marks = ", ".join(["%s"] * (len(columns) + 2))
    world.sql(
        f"INSERT INTO jobs_queue ({names}) VALUES ({marks})",
        [world.environment_id, name, *columns.values()],
    )


def place(world: World, run_id: Any) -> str:
    row = world.row(run_id)
    found = [name for name in ("is_claimable", "is_waiting", "is_timed") if getattr(row, name)]
    assert len(found) == 1
    return found[0]


PAUSED = {"paused_at": "2020-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    "columns", [{"concurrency_limit": 1} | PAUSED, PAUSED, {"rate_limit": 1} | PAUSED]
)
@pytest.mark.parametrize("in_batch", [False, True])
def test_run_of_a_limited_or_paused_queue_waits(
    world: World, columns: dict[str, Any], in_batch: bool
) -> None:
    make_queue(world, **columns)
    ids = world.trigger_many(2, queue="q") if in_batch else [world.trigger(queue="q")]
    assert {place(world, run_id) for run_id in ids} == {"is_waiting"}
    assert all(world.row(run_id).needs_slot for run_id in ids)
    assert world.bell.rings == []
    assert world.claim(limit=5) == ()
    world.check()


def test_transaction_managed_by_hand_leaves_admission_to_the_clock(world: World) -> None:
    make_queue(world, concurrency_limit=1)
    connection = transaction.get_connection()
    connection.set_autocommit(False)
    try:
        ids = [world.trigger(queue="q"), world.trigger(queue="r", concurrency_keys=("a",))]
        changed = world.trigger(queue="q", queue_limits=Queue("q", 5))
        connection.commit()
        assert {place(world, run_id) for run_id in [*ids, changed]} == {"is_waiting"}
    finally:
        connection.rollback()
        connection.set_autocommit(True)


def test_run_of_a_queue_without_limits_is_claimable(world: World) -> None:
    make_queue(world, key_concurrency_limit=3)
    run_id = world.trigger(queue="q")
    assert (place(world, run_id), world.row(run_id).needs_slot) == ("is_claimable", False)


def test_run_with_a_key_needs_a_slot_in_any_queue(world: World) -> None:
    run_id = world.trigger(queue="q", concurrency_keys=("a", "b", "c"), rate_weight=3)
    row = world.row(run_id)
    assert (row.concurrency_key, row.further_keys, row.rate_weight) == ("a", ["b", "c"], 3)
    assert row.needs_slot
    assert QueueRow.objects.get().name == "q"


def test_limits_that_the_trigger_states_hold_from_the_first_run_on(world: World) -> None:
    rate = RateLimit(5, "1m", per_key=True)
    limits = Queue("q", 2, 3, rate_limit=rate, max_length=9)
    run_id = world.trigger(queue="q", queue_limits=limits)
    row = QueueRow.objects.get()
    assert (row.concurrency_limit, row.key_concurrency_limit, row.max_length) == (2, 3, 9)
    assert (row.rate_limit, row.rate_window_seconds, row.rate_per_key) == (5, 60.0, True)
    assert row.is_limited
    assert world.row(run_id).needs_slot


def test_queue_that_is_named_is_made(world: World) -> None:
    world.trigger(queue="one", names_queue=True)
    world.trigger(queue="own")
    trigger_batch([request(queue=name, names_queue=True) for name in ("b", "a", "b")])
    assert set(QueueRow.objects.values_list("name", flat=True)) == {"one", "a", "b"}
    assert not QueueRow.objects.filter(is_limited=True).exists()


def test_thousand_queues_are_made_by_one_statement(
    world: World, django_assert_max_num_queries: Any
) -> None:
    requests = [
        request(queue=f"tenant-{n}", queue_limits=Queue(f"tenant-{n}", 1)) for n in range(1_000)
    ]
    with transaction.atomic(), django_assert_max_num_queries(6):
        trigger_batch(requests)
    assert QueueRow.objects.filter(concurrency_limit=1).count() == 1_000


def test_rolled_back_trigger_makes_no_queue(world: World) -> None:
    with rolled_back():
        world.trigger(queue="q", queue_limits=Queue("q", 1))
    assert not QueueRow.objects.exists()


def test_changed_limits_are_stored_after_the_commit(world: World) -> None:
    world.trigger(queue="q", queue_limits=Queue("q", 1))
    with transaction.atomic():
        world.trigger(queue="q", queue_limits=Queue("q", 5, on_conflict="cancel_in_progress"))
        assert QueueRow.objects.get().concurrency_limit == 1
        world.line.connection.execute("SET lock_timeout = '1s'")
        world.line.connection.execute("SELECT FROM jobs_queue FOR NO KEY UPDATE")  # not locked
    row = QueueRow.objects.get()
    assert (row.concurrency_limit, row.on_conflict) == (5, "cancel_in_progress")


def test_changed_limits_of_a_rolled_back_trigger_are_not_stored(world: World) -> None:
    world.trigger(queue="q", queue_limits=Queue("q", 1))
    with rolled_back():
        world.trigger(queue="q", queue_limits=Queue("q", 5))
    assert QueueRow.objects.get().concurrency_limit == 1


def test_override_at_run_time_stays(world: World) -> None:
    make_queue(world, concurrency_limit=1, override_limit=7)
    world.trigger(queue="q", queue_limits=Queue("q", 2))
    row = QueueRow.objects.get()
    assert (row.concurrency_limit, row.override_limit, row.effective_limit) == (2, 7, 7)


def test_batch_that_contradicts_itself_is_refused(world: World) -> None:
    with pytest.raises(InvalidOptionError, match="other limits"):
        trigger_batch([request(queue="q", queue_limits=Queue("q", n)) for n in (1, 2)])
    assert not Batch.objects.exists()


def test_full_queue_refuses_more(world: World) -> None:
    limits = Queue("q", 1, max_length=2)
    make_queue(world, concurrency_limit=1, max_length=2, **PAUSED)
    for _ in range(2):
        world.trigger(queue="q", queue_limits=limits)
    with pytest.raises(QueueFullError, match="2 runs wait in it, 1 more") as caught:
        world.trigger(queue="q")
    assert caught.value.code == "queue_full"
    with pytest.raises(QueueFullError):
        trigger_batch([request(queue="q"), request()])
    assert Run.objects.count() == 2
    assert not Batch.objects.exists()


def test_batch_that_would_overfill_a_queue_is_refused_whole(world: World) -> None:
    limits = Queue("q", max_length=3, concurrency_limit=1)
    with pytest.raises(QueueFullError, match="4 more were triggered"):
        trigger_batch([request(queue="q", queue_limits=limits)] * 4)
    trigger_batch([request(queue="q", queue_limits=limits)] * 3)
    assert Run.objects.count() == 3


def test_run_that_was_admitted_counts_until_it_is_claimed(world: World) -> None:
    limits = Queue("q", max_length=1)
    first = world.trigger(queue="q", queue_limits=limits)
    assert place(world, first) == "is_claimable"
    with pytest.raises(QueueFullError):
        world.trigger(queue="q")
    world.claim_one()
    world.trigger(queue="q")


def test_delayed_runs_do_not_fill_a_queue(world: World) -> None:
    make_queue(world, max_length=1, **PAUSED)
    for _ in range(2):
        world.trigger(queue="q", delay_seconds=60.0)
    world.trigger(queue="q")


def test_full_queue_answers_with_the_run_that_holds_the_key(world: World) -> None:
    make_queue(world, max_length=1, **PAUSED)
    keyed = request(queue="q", idempotency=KeyClaim("k", "global:k", 60.0))
    first = trigger(keyed)
    assert trigger(keyed).id == first.id
    _, answers = trigger_batch([keyed, keyed])
    assert {answer.id for answer in answers} == {first.id}


REFUSE = Queue("q", on_conflict="refuse", key_concurrency_limit=2)


def refusing(key: str | None = "a", **options: Any) -> Any:
    keys = () if key is None else (key,)
    return request(queue="q", queue_limits=REFUSE, concurrency_keys=keys, **options)


def test_busy_key_is_refused_until_its_run_is_over(world: World) -> None:
    first = trigger(refusing())
    with pytest.raises(QueueConflictError, match="Key 'a' of queue 'q' is busy with run_"):
        trigger(refusing())
    trigger(refusing("b"))
    run = world.claim_one()
    assert run.id == first.id
    with pytest.raises(QueueConflictError):
        trigger(refusing())
    world.finish(completed(run), with_slots=[run.id])
    trigger(refusing())
    world.check()


@pytest.mark.parametrize("options", [{"delay_seconds": 60.0}, {}])
def test_key_of_a_run_that_has_not_started_is_busy(world: World, options: dict[str, Any]) -> None:
    make_queue(world, on_conflict="refuse", **PAUSED)
    first = trigger(refusing(**options))
    with pytest.raises(QueueConflictError):
        trigger(refusing())
    cancel(first.id)
    trigger(refusing())


def test_equal_keys_in_a_batch_are_refused_together(world: World) -> None:
    with pytest.raises(QueueConflictError, match="another item"):
        trigger_batch([refusing(), refusing("b"), refusing()])
    assert not Run.objects.exists()
    trigger_batch([refusing(), refusing("b"), refusing(None), refusing(None)])
    assert Run.objects.count() == 4


def test_several_keys_in_a_queue_that_refuses_are_refused(world: World) -> None:
    make_queue(world, on_conflict="refuse")
    with pytest.raises(InvalidOptionError, match="several keys"):
        world.trigger(queue="q", concurrency_keys=("a", "b"))


def test_refusal_inside_a_transaction_spares_the_rest(world: World) -> None:
    with transaction.atomic():
        kept = trigger(refusing())
        with pytest.raises(QueueConflictError):
            trigger(refusing())
        also = world.trigger()
    assert {kept.id, also} == set(Run.objects.values_list("id", flat=True))
    assert world.status(kept.id) == Status.QUEUED
