"""Store what this process's code declares: tasks, queues and schedules."""

from __future__ import annotations

import json
from collections.abc import Iterable

from jobs_platform.domain.clock import utc_now
from jobs_platform.domain.configuration import DEFAULT_WORKER_QUEUE
from jobs_platform.domain.ids import new_uuid
from jobs_platform.engine.line import Line
from jobs_platform.sdk import ports
from jobs_platform.sdk.task import Task


def define_tasks(line: Line, tasks: Iterable[Task], *, environment_id: int) -> None:
    """Make or renew the definitions of these tasks; unchanged schedules keep their next time."""
    ordered = sorted(tasks, key=lambda task: task.id)
    definitions = [_definition(task) for task in ordered]
    with line.transaction():
        line.execute(
            "define_tasks", {"environment_id": environment_id, "tasks": json.dumps(definitions)}
        )
        unscheduled = [task.id for task in ordered if task.cron is None]
        line.execute(
            "retire_schedules", {"environment_id": environment_id, "task_ids": unscheduled}
        )
        for task in ordered:
            if task.cron is not None:
                params = {
                    "id": new_uuid(),
                    "environment_id": environment_id,
                    "task_id": task.id,
                    "cron": task.cron.expression,
                    "timezone": task.cron.timezone,
                    "next_fire_at": task.cron.next_after(utc_now()),
                }
                line.execute("declare_schedule", params)


def _definition(task: Task) -> dict[str, object]:
    configuration = ports.configuration()
    definition = task.definition()
    return definition | {
        "machine": definition["machine"] or configuration.machine or DEFAULT_WORKER_QUEUE,
        "max_attempts": definition["max_attempts"] or configuration.retries.max_attempts,
        "file": f"{definition['file']}:{definition['line']}",
    }
