"""Triggers inside and outside of the caller's transaction."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

import pytest
from django.db import IntegrityError, connection, transaction

from jobs_platform.domain.configuration import Configuration
from jobs_platform.domain.errors import TooManyItemsError
from jobs_platform.domain.ids import decode, new_uuid
from jobs_platform.domain.lifecycle import Status
from jobs_platform.engine.read import retrieve_batch
from jobs_platform.engine.trigger import MAX_ITEMS, trigger, trigger_batch
from jobs_platform.models import Batch, Run
from jobs_platform.sdk import ports
from jobs_platform.sdk.options import TaskDefaults
from jobs_platform.sdk.triggering import trigger_items
from tests.world import World, completed, ended, request, rolled_back


class _Nightly:
    """A task of which only the id and the defaults are known."""

    id = "nightly"

    defaults = TaskDefaults(queue="nightly", machine=None, max_attempts=None, version=None)

    def dump_payload(self, payload: object) -> str:
        return str(payload)


def test_trigger_makes_a_queued_run_with_everything_that_was_asked(world: World) -> None:
    run_id = world.trigger(
        task_id="mail",
        payload='{"to": 1e20}',
        queue="mails",
        worker_queue="large",
        max_attempts=7,
        priority_seconds=10.0,
        tags=("a", "b"),
        metadata='{"k": 1}',
        is_test=True,
        task_version="v3",
    )
    row = world.row(run_id)
    assert (row.task_id, row.status, row.version) == ("mail", Status.QUEUED, 1)
    assert (row.queue, row.worker_queue, row.max_attempts) == ("mails", "large", 7)
    assert (row.payload, row.metadata, row.tags) == ({"to": 1e20}, {"k": 1}, ["a", "b"])
    assert (row.is_test, row.task_version, row.is_claimable) == (True, "v3", True)
    assert (row.attempt_number, row.fencing_token, row.finished_at) == (0, 0, None)
    assert (row.created_at - row.run_at).total_seconds() == pytest.approx(10.0, abs=0.1)
    assert world.moves(run_id) == ["trigger"]


def test_trigger_rings_at_once_without_a_transaction(world: World) -> None:
    world.trigger(worker_queue="large")
    assert world.bell.rings == [("large", 1)]


def test_rollback_triggers_nothing_and_rings_nobody(world: World) -> None:
    with rolled_back():
        world.trigger()
        world.trigger_many(3)
    assert not Run.objects.exists()
    assert not Batch.objects.exists()
    assert world.sql("SELECT count(*) FROM jobs_event") == [(0,)]
    assert world.bell.rings == []


def test_commit_triggers_exactly_what_it_wrote_and_rings_once(world: World) -> None:
    with transaction.atomic():
        ids = [world.trigger(), *world.trigger_many(2), world.trigger(worker_queue="large")]
        assert world.bell.rings == []
    assert set(Run.objects.values_list("id", flat=True)) == set(ids)
    assert sorted(world.bell.rings) == [("default", 3), ("large", 1)]


def test_rolled_back_savepoint_takes_only_its_own_runs_along(world: World) -> None:
    with transaction.atomic():
        before = world.trigger()
        with rolled_back():
            world.trigger(worker_queue="large")
        with transaction.atomic():
            inside = world.trigger()
        after = world.trigger()
    assert set(Run.objects.values_list("id", flat=True)) == {before, inside, after}
    assert world.bell.counts["default"] == 1


def test_released_savepoint_rings_with_the_outer_commit(world: World) -> None:
    with transaction.atomic():
        with transaction.atomic():
            world.trigger()
        assert world.bell.rings == []
    assert world.bell.rings == [("default", 1)]


def test_rolled_back_transaction_leaves_no_wish_behind(world: World) -> None:
    with rolled_back():
        world.trigger(worker_queue="large")
    with transaction.atomic():
        world.trigger()
    assert world.bell.rings == [("default", 1)]


def test_transaction_managed_by_hand_is_left_to_the_sweep(world: World) -> None:
    connection.set_autocommit(False)
    try:
        run_id = world.trigger()
        connection.commit()
        assert world.status(run_id) == Status.QUEUED
        assert world.bell.rings == []
    finally:
        connection.rollback()
        connection.set_autocommit(True)


def test_error_of_the_database_inside_a_savepoint_spares_the_rest(world: World) -> None:
    with transaction.atomic():
        kept = world.trigger()
        with pytest.raises(IntegrityError), transaction.atomic():
            trigger(request(max_attempts=0))
    assert list(Run.objects.values_list("id", flat=True)) == [kept]


def test_batch_of_a_thousand_is_written_in_its_order(world: World) -> None:
    batch_id, triggered = trigger_batch([request(payload=str(n)) for n in range(MAX_ITEMS)])
    rows = list(Run.objects.order_by("run_at").values_list("id", "payload", "batch_id"))
    assert [row[0] for row in rows] == [one.id for one in triggered]
    assert [row[1] for row in rows] == list(range(MAX_ITEMS))
    assert {row[2] for row in rows} == {batch_id}
    assert [one.id for one in triggered] == sorted(one.id for one in triggered)
    assert Batch.objects.get().run_count == MAX_ITEMS
    assert world.bell.rings == [("default", MAX_ITEMS)]
    world.check()


def test_batch_keeps_what_each_item_asked(world: World) -> None:
    parent = world.trigger()
    _, (plain, rich) = trigger_batch(
        [
            request("a"),
            request(
                "b",
                tags=("x", 'y"{'),
                metadata='{"n": 1}',
                priority_seconds=-3.0,
                worker_queue="large",
                parent_id=parent,
                root_id=parent,
                is_test=True,
                task_version="2",
            ),
        ]
    )
    first, second = world.row(plain.id), world.row(rich.id)
    assert (first.tags, first.metadata, first.parent_id) == ([], {}, None)
    assert (second.tags, second.metadata) == (["x", 'y"{'], {"n": 1})
    assert (second.parent_id, second.root_id, second.is_test) == (parent, parent, True)
    assert (second.worker_queue, second.priority_seconds) == ("large", -3.0)


def test_batch_of_too_many_is_refused_whole(world: World) -> None:
    with pytest.raises(TooManyItemsError):
        trigger_batch([request()] * (MAX_ITEMS + 1))
    assert not Run.objects.exists()
    assert not Batch.objects.exists()


def test_batch_with_one_impossible_item_is_refused_whole(world: World) -> None:
    with pytest.raises(IntegrityError):
        trigger_batch([request(), request(max_attempts=0)])
    assert not Run.objects.exists()
    assert not Batch.objects.exists()
    assert world.bell.rings == []


def test_streamed_batch_grows_while_it_is_sent(world: World) -> None:
    seen: list[int] = []

    def items():
        for n in range(2_500):
            if n % 1_000 == 0:
                seen.append(Run.objects.count())
            yield n

    handle = trigger_items(_Nightly(), items(), {})
    batch_id = decode("batch", handle.id)
    assert seen == [0, 1_000, 2_000]
    assert Batch.objects.get(id=batch_id).run_count == 2_500
    assert retrieve_batch(batch_id).counts == {Status.QUEUED: 2_500}
    payloads = Run.objects.order_by("run_at").values_list("payload", flat=True)
    assert list(payloads) == list(range(2_500))


def test_streamed_batch_is_undone_by_the_callers_rollback(world: World) -> None:
    with rolled_back():
        trigger_items(_Nightly(), (n for n in range(1_500)), {})
    assert not Run.objects.exists()
    assert not Batch.objects.exists()
    assert world.bell.rings == []


def test_triggers_of_one_transaction_keep_their_order(world: World) -> None:
    with transaction.atomic():
        first = world.trigger()
        batch = world.trigger_many(300)
        middle = world.trigger()
        second_batch = world.trigger_many(300)
        last = world.trigger()
    wanted = [first, *batch, middle, *second_batch, last]
    claimed = [run.id for run in world.claim(limit=1_000)]
    assert claimed == wanted


def test_batch_is_over_when_its_last_run_is(world: World) -> None:
    batch_id, _ = trigger_batch([request(), request()])
    first, second = world.claim(limit=2)
    world.finish(completed(first))
    assert retrieve_batch(batch_id).status == "PENDING"
    world.finish(ended(second))
    found = retrieve_batch(batch_id)
    assert found.status == "COMPLETED"
    assert Counter(found.counts) == {Status.COMPLETED: 1, Status.FAILED: 1}


def test_batches_with_one_id_grow_together(world: World) -> None:
    batch_id = new_uuid()
    for _ in range(2):
        trigger_batch([request()], batch_id=batch_id)
    assert Batch.objects.get().run_count == 2


def test_foreign_parent_ids_need_not_exist(world: World) -> None:
    """No foreign key is checked, so that a trigger never waits for a lock of the engine."""
    run_id = world.trigger(parent_id=UUID(int=7))
    assert world.row(run_id).parent_id == UUID(int=7)


@pytest.mark.parametrize("is_wanted", [True, False])
def test_triggers_are_prepared_unless_the_project_says_no(
    world: World, is_wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The application's own statements never are: Django does not want it."""
    wanted = Configuration(prepared_statements=is_wanted)
    monkeypatch.setattr(ports._platform, "configuration", wanted)
    connection.close()
    world.trigger()
    world.sql("SELECT 1")
    prepared = [row[0] for row in world.sql("SELECT statement FROM pg_prepared_statements")]
    assert any("jobs_event" in statement for statement in prepared) is is_wanted
    assert not any(statement.startswith("SELECT 1") for statement in prepared)
    connection.close()
