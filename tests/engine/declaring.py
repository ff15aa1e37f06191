"""Tasks for the tests of definitions and schedules, outside of the process's registry."""

from __future__ import annotations

from typing import Any

from jobs_platform.domain.cron import Cron
from jobs_platform.engine.define import define_tasks
from jobs_platform.models import Schedule
from jobs_platform.sdk.declaration import declare
from jobs_platform.sdk.task import Task
from tests.world import World


def a_task(id: str = "report", *, cron: str | None = None, **options: Any) -> Task:
    def function(payload: Any = None) -> None:
        """Declared, never called."""

    declared = declare(function, {"id": id, **options}, local_names={})
    timezone = options.pop("timezone", "UTC")
    return Task(declared, cron=Cron(cron, timezone=timezone) if cron else None)


def define(world: World, *tasks: Task, environment_id: int | None = None) -> None:
    define_tasks(world.line, tasks, environment_id=environment_id or world.environment_id)


def due_schedule(
    world: World, *, ago: str = "1 minute", cron: str = "*/5 * * * *", id: str = "report"
) -> Schedule:
    """A schedule whose nominal time has passed."""
    define(world, a_task(id, cron=cron))
    world.sql("UPDATE jobs_worker SET task_ids = task_ids || %s::text", [id])
    world.sql(
        "UPDATE jobs_schedule SET next_fire_at = date_trunc('minute', now()) - %s::interval"
        " WHERE task_id = %s",
        [ago, id],
    )
    return Schedule.objects.get(task_id=id)
