"""What Django's admin finds: each page of the dashboard registers itself, in its own module."""

from .batch_admin import BatchAdmin
from .environment_admin import EnvironmentAdmin
from .queue_admin import QueueAdmin
from .run_admin import RunAdmin
from .schedule_admin import ScheduleAdmin
from .task_definition_admin import TaskDefinitionAdmin
from .worker_admin import WorkerAdmin

__all__ = [
    "BatchAdmin",
    "EnvironmentAdmin",
    "QueueAdmin",
    "RunAdmin",
    "ScheduleAdmin",
    "TaskDefinitionAdmin",
    "WorkerAdmin",
]
