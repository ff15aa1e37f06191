"""Schedules fire once per nominal time, whatever the number of beats."""

from __future__ import annotations

from datetime import timedelta

from jobs_platform.domain.ids import encode
from jobs_platform.domain.lifecycle import Status
from jobs_platform.engine.due import what_is_due
from jobs_platform.engine.environments import environment_id
from jobs_platform.engine.fire import SCHEDULES_PER_TRANSACTION, fire_due
from jobs_platform.models import Run, Schedule
from tests.engine.declaring import a_task, define, due_schedule
from tests.world import World


def fire(world: World, line=None) -> dict[str, int]:
    return dict(fire_due(line or world.line, environment_id=world.environment_id))


def test_due_schedule_triggers_its_task_and_goes_on(world: World) -> None:
    schedule = due_schedule(world)
    assert fire(world) == {"default": 1}
    run, after = Run.objects.get(), Schedule.objects.get()
    assert (run.task_id, run.queue, run.status) == ("report", "task/report", Status.QUEUED)
    assert (run.schedule_id, run.scheduled_at) == (schedule.id, schedule.next_fire_at)
    assert after.last_fire_at == schedule.next_fire_at
    assert after.next_fire_at > run.created_at
    assert world.moves(run.id) == ["trigger"]
    assert fire(world) == {}


def test_scheduled_run_gets_its_times_as_payload(world: World) -> None:
    schedule = due_schedule(world, cron="*/5 * * * *")
    fire(world)
    payload = Run.objects.get().payload
    assert payload["timestamp"].replace("Z", "+00:00") == schedule.next_fire_at.isoformat()
    assert payload["last_timestamp"] is None
    assert payload["schedule_id"] == encode("sched", schedule.id)
    assert payload["timezone"] == "UTC"
    assert len(payload["upcoming"]) == 5


def test_second_run_of_a_schedule_knows_the_time_before(world: World) -> None:
    due_schedule(world, ago="7 minutes")
    fire(world)
    first = Run.objects.get().scheduled_at
    world.sql("UPDATE jobs_schedule SET next_fire_at = now() - interval '1 minute'")
    fire(world)
    latest = Run.objects.order_by("-scheduled_at").first()
    assert latest.payload["last_timestamp"].replace("Z", "+00:00") == first.isoformat()


def test_scheduled_run_has_the_times_of_its_task_and_waits_in_a_limited_queue(world: World) -> None:
    due_schedule(world)
    world.sql("UPDATE jobs_task_definition SET ttl_seconds = 9, max_duration_seconds = 8")
    world.sql("UPDATE jobs_queue SET concurrency_limit = 1, max_length = 1, paused_at = now()")
    fire_due(world.line, environment_id=world.environment_id)
    run = Run.objects.get()
    assert (run.ttl_seconds, run.max_duration_seconds, run.is_waiting) == (9.0, 8.0, True)
    world.sql("UPDATE jobs_schedule SET next_fire_at = now() - interval '1 second'")
    fire_due(world.line, environment_id=world.environment_id)
    assert Run.objects.count() == 2, "a schedule fires into a full queue"


def test_schedule_that_is_not_due_does_not_fire(world: World) -> None:
    define(world, a_task(cron="0 0 1 1 *"))
    assert fire(world) == {}
    assert not Run.objects.exists()


def test_after_a_downtime_the_first_missed_time_fires_alone(world: World) -> None:
    schedule = due_schedule(world, ago="3 days")
    fire(world)
    assert fire(world) == {}
    assert Run.objects.get().scheduled_at == schedule.next_fire_at
    assert Schedule.objects.get().next_fire_at > Run.objects.get().created_at


def test_retired_schedule_does_not_fire(world: World) -> None:
    due_schedule(world)
    world.sql("UPDATE jobs_schedule SET is_active = false")
    assert fire(world) == {}


def test_schedule_of_another_environment_does_not_fire(world: World) -> None:
    due_schedule(world)
    staging = environment_id("staging")
    assert fire_due(world.line, environment_id=staging) == {}


def test_two_beats_at_once_fire_once(world: World) -> None:
    """The first one has fired but not committed when the second one looks."""
    due_schedule(world)
    other = world.new_line()
    with world.line.transaction():
        assert fire(world) == {"default": 1}
        assert fire(world, other) == {}
    assert fire(world, other) == {}
    assert Run.objects.count() == 1


def test_beat_that_dies_before_its_commit_has_fired_nothing(world: World) -> None:
    due_schedule(world)
    other = world.new_line()
    try:
        with world.line.transaction():
            fire(world)
            raise ConnectionError
    except ConnectionError:
        pass
    assert not Run.objects.exists()
    assert fire(world, other) == {"default": 1}


def test_nominal_time_that_has_fired_already_is_not_fired_again(world: World) -> None:
    """A clock that was set back, or a restored backup: the schedule goes on without another run."""
    schedule = due_schedule(world)
    fire(world)
    world.sql("UPDATE jobs_schedule SET next_fire_at = %s", [schedule.next_fire_at])
    assert fire(world) == {}
    assert Run.objects.count() == 1
    assert Schedule.objects.get().next_fire_at > schedule.next_fire_at


def test_schedule_that_cannot_be_read_stops_alone(world: World) -> None:
    due_schedule(world, id="good")
    due_schedule(world, id="bad", ago="2 minutes")
    world.sql("UPDATE jobs_schedule SET cron = 'nonsense' WHERE task_id = 'bad'")
    assert fire(world) == {"default": 1}
    assert Run.objects.get().task_id == "good"
    assert Schedule.objects.get(task_id="bad").next_fire_at is None
    assert fire(world) == {}


def test_many_due_schedules_fire_in_bounded_transactions(world: World) -> None:
    count = SCHEDULES_PER_TRANSACTION + 3
    tasks = [a_task(f"report-{n}", cron="*/5 * * * *") for n in range(count)]
    define(world, *tasks)
    world.sql("UPDATE jobs_schedule SET next_fire_at = now() - interval '1 minute'")
    world.sql("UPDATE jobs_worker SET task_ids = %s", [[task.id for task in tasks]])
    assert fire(world) == {"default": SCHEDULES_PER_TRANSACTION}
    assert fire(world) == {"default": 3}
    assert Run.objects.count() == count


def test_next_time_is_later_than_now_also_over_a_long_downtime(world: World) -> None:
    due_schedule(world, ago="400 days", cron="0 * * * *")
    fire(world)
    run, schedule = Run.objects.get(), Schedule.objects.get()
    assert timedelta() < schedule.next_fire_at - run.created_at <= timedelta(hours=1)


def test_schedule_of_a_task_that_was_removed_from_the_code_waits(world: World) -> None:
    schedule = due_schedule(world)
    world.sql("UPDATE jobs_worker SET task_ids = '{}'")
    assert fire_due(world.line, environment_id=world.environment_id) == {}
    assert not what_is_due(world.line, environment_id=world.environment_id).has_schedules
    world.sql("UPDATE jobs_worker SET task_ids = %s", [[schedule.task_id]])
    assert what_is_due(world.line, environment_id=world.environment_id).has_schedules
    assert sum(fire_due(world.line, environment_id=world.environment_id).values()) == 1
