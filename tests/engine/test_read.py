"""Runs as values: what callers see of the rows."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobs_platform.domain.errors import BatchNotFoundError, RunNotFoundError
from jobs_platform.domain.ids import encode, new_uuid
from jobs_platform.domain.lifecycle import Status
from jobs_platform.engine import read
from jobs_platform.engine.fire import fire_due
from jobs_platform.engine.prune import prune
from jobs_platform.engine.tag import add_tags
from jobs_platform.engine.trigger import trigger_batch
from jobs_platform.sdk.ports import RunFilter
from jobs_platform.sdk.values import RunError
from tests.engine.declaring import due_schedule
from tests.world import World, completed, ended, log_entry, request, retried


def listed(world: World, environment: str | None = None, **selected: object) -> list[str]:
    return [run.id for run in read.list_runs(RunFilter(**selected), environment=environment)]


def test_run_is_read_with_its_finished_attempts(world: World) -> None:
    run = world.executing(tags=("a",), metadata='{"k": 1}', payload="[1]")
    world.finish(retried(run, cpu_seconds=0.5, peak_memory_bytes=9))
    world.finish(completed(world.claim_one(), '{"x": 1}'))
    value = read.retrieve(run.id)
    assert (value.id, value.status, value.version) == (
        encode("run", run.id),
        Status.COMPLETED,
        5,
    )
    assert (value.payload, value.output, value.error) == ([1], {"x": 1}, None)
    assert (value.tags, value.metadata, value.attempt_number) == (("a",), {"k": 1}, 2)
    first, second = value.attempts
    assert (first.number, first.status, first.worker) == (1, Status.FAILED, "test")
    assert (first.cpu_seconds, first.peak_memory_bytes) == (0.5, 9)
    assert first.error == RunError("ValueError", "no")
    assert (second.number, second.status, second.error) == (2, Status.COMPLETED, None)
    assert value.duration_ms is not None


def test_queue_time_is_shown_only_while_it_means_something(world: World) -> None:
    run_id = world.trigger()
    assert read.retrieve(run_id).run_at is not None
    world.claim_one()
    assert read.retrieve(run_id).run_at is None


def test_attempt_survives_the_worker_that_made_it(world: World) -> None:
    run = world.executing()
    world.finish(completed(run))
    world.sql("DELETE FROM jobs_worker")
    (attempt,) = read.retrieve(run.id).attempts
    assert attempt.worker is None


def test_unknown_ids_are_said_to_be_unknown(world: World) -> None:
    for question in (read.retrieve, read.status_of):
        with pytest.raises(RunNotFoundError):
            question(new_uuid())
    with pytest.raises(BatchNotFoundError):
        read.retrieve_batch(new_uuid())
    with pytest.raises(RunNotFoundError):
        add_tags(new_uuid(), ["a"])


def test_status_and_version_are_enough_for_polling(world: World) -> None:
    run = world.executing()
    assert read.status_of(run.id) == (Status.EXECUTING, 2)


def test_timeline_is_in_the_order_of_versions(world: World) -> None:
    run = world.executing()
    world.finish(retried(run, after=1.5))
    events = read.events_of(run.id)
    assert [(event.version, event.name) for event in events] == [
        (1, "trigger"),
        (2, "claim"),
        (3, "retry"),
    ]
    assert [event.data["attempt"] for event in events] == [0, 1, 1]
    assert events[2].data["delay_seconds"] == 1.5


def test_log_is_read_from_any_line_on(world: World) -> None:
    run = world.executing()
    entries = [log_entry(run, str(n), fields='{"n": 1}') for n in range(5)]
    world.exchange([completed(run)], log_entries=entries)
    first = read.log_lines_of(run.id, limit=2)
    assert [line.message for line in first] == ["0", "1"]
    rest = read.log_lines_of(run.id, after_id=first[-1].id)
    assert [line.message for line in rest] == ["2", "3", "4"]
    assert (rest[0].fields, rest[0].attempt_number) == ({"n": 1}, 1)


def test_runs_are_listed_newest_first_and_page_by_page(world: World) -> None:
    ids = [encode("run", run_id) for run_id in reversed(world.trigger_many(5))]
    assert listed(world) == ids
    assert listed(world, limit=2) == ids[:2]
    oldest_seen = world.sql("SELECT id FROM jobs_run ORDER BY id DESC OFFSET 1 LIMIT 1")[0][0]
    assert listed(world, limit=2, before_id=oldest_seen) == ids[2:4]


def test_list_stays_within_its_environment(world: World) -> None:
    world.trigger()
    theirs = world.trigger(environment="staging")
    assert listed(world, environment="staging") == [encode("run", theirs)]


def test_every_filter_narrows_the_list(world: World) -> None:
    parent = world.trigger(task_id="parent")
    done = world.claim_one()
    world.finish(ended(done))
    batch_id, _ = trigger_batch([request("in-batch")])
    wanted = {
        "statuses": (Status.FAILED,),
        "task_ids": ("tagged",),
        "tags": ("a", "b"),
        "queue": "special",
        "batch_id": batch_id,
        "parent_id": parent,
    }
    made = {
        "statuses": parent,
        "task_ids": world.trigger(task_id="tagged", tags=("b", "c", "a")),
        "queue": world.trigger(queue="special"),
        "parent_id": world.trigger(parent_id=parent),
    }
    made["tags"] = made["task_ids"]
    made["batch_id"] = world.sql("SELECT id FROM jobs_run WHERE batch_id IS NOT NULL")[0][0]
    for name, value in wanted.items():
        assert listed(world, **{name: value}) == [encode("run", made[name])], name
    assert listed(world, tags=("a", "z")) == []
    assert len(listed(world, statuses=(Status.FAILED, Status.QUEUED))) == 5


def test_list_by_time_includes_its_start_and_not_its_end(world: World) -> None:
    run_id = world.trigger()
    at = world.row(run_id).created_at
    tick = timedelta(microseconds=1)
    assert len(listed(world, created_after=at, created_before=at + tick)) == 1
    assert listed(world, created_before=at) == []
    assert listed(world, created_after=at + tick) == []


def test_list_by_schedule_takes_its_public_id(world: World) -> None:
    schedule = due_schedule(world)
    world.trigger()
    fire_due(world.line, environment_id=world.environment_id)
    (only,) = listed(world, schedule_id=encode("sched", schedule.id))
    assert read.list_runs(RunFilter())[0].id == only


def test_tags_are_added_once_and_in_their_order(world: World) -> None:
    run_id = world.trigger(tags=("a",))
    add_tags(run_id, ["c", "a", "b"])
    assert world.row(run_id).tags == ["a", "c", "b"]


def test_adding_tags_is_a_change_but_no_move(world: World) -> None:
    run_id = world.trigger()
    add_tags(run_id, ["a"])
    assert world.row(run_id).version == 2
    world.claim_one()
    assert [event.version for event in read.events_of(run_id)] == [1, 3]


def test_tag_that_comes_twice_in_one_call_is_added_once(world: World) -> None:
    run_id = world.trigger()
    add_tags(run_id, ["a", "a"])
    assert world.row(run_id).tags == ["a"]


def test_batch_whose_old_runs_are_pruned_is_over_all_the_same(world: World) -> None:
    batch_id, _ = trigger_batch([request(), request()])
    old, new = world.claim(limit=2)
    world.finish(completed(old), completed(new))
    world.sql(
        "UPDATE jobs_run SET id = overlay(id::text placing '01800000' from 1 for 8)::uuid, "
        "finished_at = finished_at - interval '90 days' WHERE id = %s",
        [old.id],
    )
    pruned = prune(world.line, environment_id=world.environment_id, older_than=timedelta(days=30))
    assert pruned.runs == 1
    assert read.retrieve_batch(batch_id).status == "COMPLETED"
