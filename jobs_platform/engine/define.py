"""Store what this process's code declares: tasks, queues and schedules."""

from __future__ import annotations

import json
from collections.abc import Iterable

from jobs_platform.domain.clock import utc_now
from jobs_platform.domain.configuration import DEFAULT_WORKER_QUEUE
from jobs_platform.domain.ids import new_uuid
from jobs_platform.engine.line import Line
from jobs_platform.sdk import ports
from jobs_platform.sdk.queue import UNLIMITED, Queue
from jobs_platform.sdk.task import Task


def define_tasks(line: Line, tasks: Iterable[Task], *, environment_id: int) -> None:
    """Make or renew the definitions of these tasks; unchanged schedules keep their next time."""
    ordered = sorted(tasks, key=lambda task: task.id)
    definitions = [_definition(task) for task in ordered]
    with line.transaction():
        line.execute(
            "define_tasks", {"environment_id": environment_id, "tasks": json.dumps(definitions)}
        )
        queues = {"environment_id": environment_id, "queues": json.dumps(_queues(ordered))}
        line.execute("make_queues", queues)
        line.execute("change_queues", queues)
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


def _queues(tasks: Iterable[Task]) -> list[dict[str, object]]:
    """What their queues are; where one task states limits, another may only name the queue."""
    stated: dict[str, Queue] = {}
    for task in tasks:
        name = task.defaults.queue
        if name not in stated or not stated[name].has_limits:
            stated[name] = task.declared.queue or UNLIMITED
    return [{"name": name, **queue.definition()} for name, queue in sorted(stated.items())]


def _definition(task: Task) -> dict[str, object]:
    configuration = ports.configuration()
    definition = task.definition()
    return definition | {
        "machine": definition["machine"] or configuration.machine or DEFAULT_WORKER_QUEUE,
        "max_attempts": definition["max_attempts"] or configuration.retries.max_attempts,
        "ttl_seconds": definition["ttl_seconds"] or configuration.ttl_seconds or None,
        "max_duration_seconds": (
            definition["max_duration_seconds"] or configuration.max_duration_seconds
        ),
        "file": f"{definition['file']}:{definition['line']}",
    }
