"""The tables of the engine, one noun a file. Read them freely; only the engine writes."""

from jobs_platform.models.batch import Batch
from jobs_platform.models.environment import Environment
from jobs_platform.models.history import Attempt, Event, HookCall, LogLine
from jobs_platform.models.queue import Queue, Slot, Start
from jobs_platform.models.run import Run
from jobs_platform.models.schedule import Schedule
from jobs_platform.models.task_definition import TaskDefinition
from jobs_platform.models.worker import Claim, Worker

__all__ = [
    "Attempt",
    "Batch",
    "Claim",
    "Environment",
    "Event",
    "HookCall",
    "LogLine",
    "Queue",
    "Run",
    "Schedule",
    "Slot",
    "Start",
    "TaskDefinition",
    "Worker",
]
