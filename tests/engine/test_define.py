"""What workers store of their code: the newest wins, and what has not changed is not written."""

from __future__ import annotations

from jobs_platform.domain.retrying import RetryPolicy
from jobs_platform.engine.environments import environment_id
from jobs_platform.engine.read import known_tasks
from jobs_platform.models import Queue, Schedule, TaskDefinition
from jobs_platform.sdk.queue import Queue as DeclaredQueue
from jobs_platform.sdk.queue import RateLimit
from tests.engine.declaring import a_task, define
from tests.world import World


def versions_of_rows(world: World) -> list[tuple[object, ...]]:
    return world.sql(
        "SELECT 'task', task_id, xmin::text FROM jobs_task_definition UNION ALL "
        "SELECT 'queue', name, xmin::text FROM jobs_queue UNION ALL "
        "SELECT 'schedule', task_id, xmin::text FROM jobs_schedule ORDER BY 1, 2"
    )


def test_definition_is_stored_with_the_defaults_of_the_project(world: World) -> None:
    define(world, a_task("plain"), a_task("rich", queue="mails", machine="large-1x", version="v2"))
    plain, rich = TaskDefinition.objects.order_by("task_id")
    assert (plain.machine, plain.queue) == ("default", "task/plain")
    assert plain.max_attempts > 0
    assert (rich.machine, rich.queue, rich.version) == ("large-1x", "mails", "v2")
    assert set(known_tasks()) == {"plain", "rich"}


def test_defining_again_writes_nothing(world: World) -> None:
    tasks = [a_task("a", cron="0 3 * * *"), a_task("b", queue=DeclaredQueue("q", 4))]
    define(world, *tasks)
    before = versions_of_rows(world)
    define(world, *reversed(tasks))
    assert versions_of_rows(world) == before
    assert len(before) == 5


def test_newest_worker_wins(world: World) -> None:
    define(world, a_task("a", description="old"))
    define(world, a_task("a", description="new", machine="small-1x"))
    row = TaskDefinition.objects.get()
    assert (row.description, row.machine) == ("new", "small-1x")


def test_definitions_of_other_environments_are_apart(world: World) -> None:
    define(world, a_task("a", description="dev"))
    define(world, a_task("a", description="other"), environment_id=environment_id("staging"))
    assert TaskDefinition.objects.get(environment_id=world.environment_id).description == "dev"
    assert TaskDefinition.objects.count() == 2


def test_limits_of_a_queue_follow_the_code(world: World) -> None:
    define(world, a_task("a", queue=DeclaredQueue("q", 4)))
    assert Queue.objects.get(name="q").concurrency_limit == 4
    define(world, a_task("a", queue=DeclaredQueue("q", 9)))
    assert Queue.objects.get(name="q").concurrency_limit == 9


def test_task_that_only_names_a_queue_does_not_lift_its_limit(world: World) -> None:
    limited = a_task("z", queue=DeclaredQueue("q", 4))
    define(world, a_task("a", queue="q"), limited, a_task("zz", queue="q"))
    assert Queue.objects.get(name="q").concurrency_limit == 4


def test_all_that_code_says_of_a_queue_is_stored(world: World) -> None:
    rate = RateLimit(5, "1m", on_limit="refuse")
    queue = DeclaredQueue("q", on_conflict="refuse", rate_limit=rate, max_length=7)
    define(world, a_task("a", queue=queue))
    row = Queue.objects.get()
    assert (row.on_conflict, row.max_length, row.is_limited) == ("refuse", 7, True)
    assert (row.rate_limit, row.rate_window_seconds, row.rate_on_limit) == (5, 60.0, "refuse")


def test_limits_that_left_the_code_are_lifted_but_no_override(world: World) -> None:
    define(world, a_task("a", queue=DeclaredQueue("q", 4, max_length=7)))
    world.sql("UPDATE jobs_queue SET override_limit = 2")
    define(world, a_task("a", queue=DeclaredQueue("q")))
    row = Queue.objects.get()
    assert (row.concurrency_limit, row.max_length, row.override_limit) == (None, None, 2)


def test_times_of_a_task_are_part_of_its_definition(world: World) -> None:
    define(world, a_task("a", ttl="10s", max_duration="20s"))
    found = known_tasks()["a"]
    assert (found["ttl_seconds"], found["max_duration_seconds"]) == (10.0, 20.0)


def test_unchanged_schedule_keeps_its_next_time(world: World) -> None:
    define(world, a_task("a", cron="0 3 * * *"))
    world.sql("UPDATE jobs_schedule SET next_fire_at = '2020-01-01T03:00Z'")
    define(world, a_task("a", cron="0 3 * * *"))
    assert Schedule.objects.get().next_fire_at.year == 2020


def test_changed_schedule_goes_on_from_now(world: World) -> None:
    define(world, a_task("a", cron="0 3 * * *"))
    world.sql("UPDATE jobs_schedule SET next_fire_at = '2020-01-01T03:00Z'")
    define(world, a_task("a", cron="0 4 * * *"))
    row = Schedule.objects.get()
    assert (row.cron, row.next_fire_at.hour) == ("0 4 * * *", 4)
    assert row.next_fire_at.year > 2020


def test_schedule_that_left_the_code_is_retired_and_may_come_back(world: World) -> None:
    define(world, a_task("a", cron="0 3 * * *"))
    world.sql("UPDATE jobs_schedule SET next_fire_at = '2020-01-01T03:00Z'")
    define(world, a_task("a"))
    assert not Schedule.objects.get().is_active
    define(world, a_task("a", cron="0 3 * * *"))
    row = Schedule.objects.get()
    assert row.is_active
    assert row.next_fire_at.year > 2020


def test_schedules_of_tasks_that_this_worker_does_not_have_are_left_alone(world: World) -> None:
    define(world, a_task("a", cron="0 3 * * *"))
    define(world, a_task("b"))
    assert Schedule.objects.get().is_active


def test_retry_policy_of_a_task_is_part_of_its_definition(world: World) -> None:
    define(world, a_task("a", retry=RetryPolicy(max_attempts=8)))
    assert TaskDefinition.objects.get().max_attempts == 8
