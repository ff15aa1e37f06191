"""Debounce: of many triggers one run, when they have become quiet."""

from __future__ import annotations

from typing import Any

import pytest

from jobs_platform.domain.lifecycle import Status
from jobs_platform.engine.queue_due import queue_due
from jobs_platform.engine.trigger import trigger
from jobs_platform.models import Run
from jobs_platform.sdk.debounce import Debounce
from jobs_platform.sdk.ports import Triggered
from tests.world import World, request, rolled_back


def debounced(
    key: str = "k", delay: float = 60.0, *, environment: str | None = None, **options: Any
) -> Triggered:
    names = ("mode", "max_delay")
    debounce = Debounce(
        key, delay, **{name: options.pop(name) for name in names if name in options}
    )
    return trigger(request(debounce=debounce, **options), environment=environment)


def set_back(world: World, seconds: float) -> None:
    """As if all this had been so long ago."""
    world.sql(
        "UPDATE jobs_run SET run_at = run_at - make_interval(secs => %(by)s), "
        "created_at = created_at - make_interval(secs => %(by)s), "
        "debounce_until = debounce_until - make_interval(secs => %(by)s)",
        {"by": seconds},
    )


def test_second_trigger_pushes_the_run_back(world: World) -> None:
    first = debounced()
    set_back(world, 40)
    second = debounced()
    assert second == Triggered(first.id, "task", is_cached=True)
    row = world.row(first.id)
    assert (row.status, row.version) == (Status.DELAYED, 2)
    assert (row.run_at - row.created_at).total_seconds() == pytest.approx(100, abs=5)
    assert world.moves(first.id) == ["trigger_delayed", "debounce"]
    world.check()


def test_keys_of_other_tasks_and_environments_are_others(world: World) -> None:
    for answer in (
        debounced(),
        debounced("k2"),
        debounced(task_id="other"),
        debounced(environment="staging"),
    ):
        assert not answer.is_cached


CHANGED: dict[str, Any] = {
    "payload": "2",
    "metadata": '{"n": 2}',
    "tags": ("new",),
    "max_attempts": 7,
    "max_duration_seconds": 9.0,
    "worker_queue": "large",
}


def data(row: Run) -> tuple[Any, ...]:
    return (
        row.payload,
        row.metadata,
        row.tags,
        row.max_attempts,
        row.max_duration_seconds,
        row.worker_queue,
    )


def test_trailing_run_gets_the_data_of_the_last_trigger(world: World) -> None:
    first = debounced(payload="1")
    debounced(**CHANGED)
    assert data(world.row(first.id)) == (2, {"n": 2}, ["new"], 7, 9.0, "large")


def test_leading_run_keeps_the_data_of_the_first(world: World) -> None:
    first = debounced(payload="1", mode="leading")
    set_back(world, 10)
    before = world.row(first.id)
    debounced(mode="leading", **CHANGED)
    after = world.row(first.id)
    assert data(after) == data(before)
    assert after.run_at > before.run_at


def test_shorter_delay_pulls_nothing_ahead(world: World) -> None:
    first = debounced(delay=60.0)
    before = world.row(first.id).run_at
    debounced(delay=1.0)
    assert world.row(first.id).run_at == before


def test_run_is_not_pushed_back_beyond_its_max_delay(world: World) -> None:
    first = debounced(max_delay=90.0)
    set_back(world, 50)
    debounced()
    row = world.row(first.id)
    assert row.run_at == row.debounce_until
    assert (row.run_at - row.created_at).total_seconds() == pytest.approx(90, abs=1)


def test_max_delay_of_the_last_trigger_counts(world: World) -> None:
    first = debounced(max_delay=90.0)
    set_back(world, 50)
    debounced(max_delay=600.0)
    row = world.row(first.id)
    assert (row.run_at - row.created_at).total_seconds() == pytest.approx(110, abs=5)


def test_run_that_was_queued_is_joined_no_more(world: World) -> None:
    first = debounced()
    set_back(world, 100)
    assert queue_due(world.line, environment_id=world.environment_id).count == 1
    second = debounced()
    assert not second.is_cached
    assert world.status(first.id) == Status.QUEUED
    assert world.row(first.id).debounce_key is None
    world.check()


def test_rolled_back_push_leaves_the_run_as_it_was(world: World) -> None:
    first = debounced(payload="1")
    before = world.row(first.id)
    with rolled_back():
        debounced(payload="2")
    after = world.row(first.id)
    assert (after.payload, after.run_at, after.version) == (1, before.run_at, 1)
    world.check()
