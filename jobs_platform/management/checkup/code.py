"""This project's tasks compared with those that workers have registered."""

from __future__ import annotations

from collections.abc import Iterator

from jobs_platform.management.checkup.finding import (
    Finding,
    listed,
    ok,
    problem,
    several,
    warn,
)
from jobs_platform.models import Run, TaskDefinition
from jobs_platform.sdk.registry import registry


def check_modules() -> Iterator[Finding]:
    """Needs no database."""
    report = registry.discover()
    if not report.errors:
        tasks = several(len(registry), "task")
        modules = several(len(report.modules), "module")
        yield ok("code", f"{tasks} in {modules}; all import.")
    for error in report.errors:
        yield problem(
            "code", str(error), mend="Mend the module; `manage.py tasks` lists what loads."
        )


def check_registered(environment_id: int) -> Iterator[Finding]:
    """Workers learn of a task when they start."""
    here = {task.id for task in registry}
    stored = set(
        TaskDefinition.objects.filter(environment_id=environment_id).values_list(
            "task_id", flat=True
        )
    )
    missing = sorted(here - stored)
    if missing:
        what = f"No worker has registered {listed(missing)}."
        yield warn("tasks", what, mend="Restart the workers, so that they load this code.")
    else:
        yield ok("tasks", "Workers have registered every task of this code.")
    waiting = set(
        Run.objects.filter(environment_id=environment_id, is_claimable=True)
        .order_by()
        .values_list("task_id", flat=True)
        .distinct()
    )
    unknown = sorted(waiting - here - stored)
    if unknown:
        what = f"Runs wait whose tasks nobody knows: {listed(unknown)}."
        mend = "Deploy their code, or cancel them: `manage.py runs list --task …`."
        yield problem("tasks", what, mend=mend)
