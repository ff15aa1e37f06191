"""A replay is a new run with the old one's payload and place."""

from __future__ import annotations

import pytest

from jobs_platform.domain.errors import RunNotFoundError
from jobs_platform.domain.ids import new_uuid
from jobs_platform.domain.lifecycle import Status
from jobs_platform.engine.environments import environment_id
from jobs_platform.engine.replay import replay
from jobs_platform.sdk.ports import KeyClaim
from tests.world import World, ended, rolled_back

TEXT = '{"n": 1e20, "a": "\\u00e9",  "a": 2}'


def test_replay_repeats_what_was_asked_verbatim(world: World) -> None:
    old = world.trigger(
        task_id="mail",
        payload=TEXT,
        queue="mails",
        worker_queue="large",
        max_attempts=5,
        priority_seconds=3.0,
        tags=("a",),
        is_test=True,
        task_version="v",
    )
    new = replay(old)
    row = world.row(new.id)
    assert new.id != old
    assert (row.task_id, row.queue, row.worker_queue) == ("mail", "mails", "large")
    assert (row.max_attempts, row.priority_seconds, row.tags) == (5, 3.0, ["a"])
    assert (row.is_test, row.task_version, row.replay_of_id) == (True, "v", old)
    assert row.status == Status.QUEUED
    ((payload,),) = world.sql("SELECT payload::text FROM jobs_run WHERE id = %s", [new.id])
    assert payload == TEXT


def test_replay_keeps_keys_and_limits_but_neither_delay_nor_idempotency_key(world: World) -> None:
    old = world.trigger(
        delay_seconds=60.0,
        ttl_seconds=5.0,
        max_duration_seconds=6.0,
        concurrency_keys=("a", "b"),
        rate_weight=3,
        idempotency=KeyClaim("k", "global:k", 60.0),
    )
    row = world.row(replay(old).id)
    assert (row.status, row.needs_slot, row.idempotency_key) == (Status.QUEUED, True, None)
    assert (row.concurrency_key, row.further_keys, row.rate_weight) == ("a", ["b"], 3)
    assert (row.ttl_seconds, row.max_duration_seconds, row.replay_of_id) == (5.0, 6.0, old)


def test_replay_leaves_the_old_run_as_it_is(world: World) -> None:
    run = world.executing()
    world.finish(ended(run))
    version = world.row(run.id).version
    replay(run.id)
    assert (world.status(run.id), world.row(run.id).version) == (Status.FAILED, version)


def test_replay_may_have_another_payload(world: World) -> None:
    assert world.row(replay(world.trigger(), payload="[1]").id).payload == [1]


def test_replay_stays_in_the_environment_of_its_run(world: World) -> None:
    old = world.trigger(environment="staging")
    assert world.row(replay(old).id).environment_id == environment_id("staging")


def test_replay_has_no_parent_that_could_cancel_it(world: World) -> None:
    parent = world.trigger()
    child = world.trigger(parent_id=parent, root_id=parent)
    row = world.row(replay(child).id)
    assert (row.parent_id, row.root_id, row.batch_id) == (None, None, None)


def test_replay_takes_part_in_the_callers_transaction(world: World) -> None:
    old = world.trigger()
    with rolled_back():
        replay(old)
    assert world.sql("SELECT count(*) FROM jobs_run") == [(1,)]


def test_unknown_run_cannot_be_replayed(world: World) -> None:
    with pytest.raises(RunNotFoundError):
        replay(new_uuid())
