"""`manage.py tasks`: the tasks that this project's code declares."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from jobs_platform.domain.configuration import DEFAULT_WORKER_QUEUE
from jobs_platform.domain.errors import TaskDefinitionError
from jobs_platform.management.jobs_command import JobsCommand
from jobs_platform.sdk.ports import configuration
from jobs_platform.sdk.registry import registry
from jobs_platform.sdk.task import Task

_COLUMNS = ("TASK", "PLACE", "QUEUE", "MACHINE", "ATTEMPTS", "CRON")


class Command(JobsCommand):
    """List tasks, and the modules whose tasks are missing because they do not import."""

    help = "List the tasks of this project's code, and the modules that do not import. No database."

    def add_arguments(self, parser: CommandParser) -> None:
        self.add_common_arguments(parser)

    def run(self, **_options: Any) -> None:
        report = registry.discover()
        tasks = list(registry)
        errors = [_error_json(error) for error in report.errors]
        self.terminal.emit({"tasks": [task.definition() for task in tasks], "errors": errors})
        folders = ", ".join(configuration().dirs)
        self.terminal.table(
            _COLUMNS,
            [_row(task) for task in tasks],
            empty=f"No tasks found. They are looked for in: {folders}.",
        )
        if errors and not self.terminal.as_json:
            self.terminal.say()
            for error in errors:
                self.terminal.error(error["code"], error["message"])


def _row(task: Task) -> tuple[object, ...]:
    defined = task.definition()
    settings = configuration()
    cron = defined["cron"] or ""
    return (
        task.id,
        f"{defined['file']}:{defined['line']}",
        defined["queue"],
        defined["machine"] or settings.machine or DEFAULT_WORKER_QUEUE,
        defined["max_attempts"] or settings.retries.max_attempts,
        f"{cron} {defined['timezone']}" if cron else "",
    )


def _error_json(error: TaskDefinitionError) -> dict[str, Any]:
    return {
        "code": error.code,
        "message": str(error),
        "module": getattr(error, "module", None),
        "file": getattr(error, "file", None),
        "line": getattr(error, "line", None),
    }
