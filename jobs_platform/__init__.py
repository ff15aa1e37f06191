"""Jobs Platform: durable background jobs for Django and Celery.

All that a task file or an application needs; imports no Django.
"""

from jobs_platform.domain.cron import Cron
from jobs_platform.domain.errors import (
    AbortTaskRunError,
    BatchNotFoundError,
    ConfigurationError,
    DatabaseUnavailableError,
    DuplicateTaskError,
    InvalidCronError,
    InvalidDurationError,
    InvalidIdError,
    InvalidOptionError,
    InvalidTagError,
    InvalidTaskError,
    JobsError,
    MaxDurationExceeded,
    MetadataError,
    NotConfiguredError,
    NotFoundError,
    NotMigratedError,
    OpenTransactionError,
    OutputError,
    OutputNotJsonError,
    OutputTooLargeError,
    OutputValidationError,
    OutsideRunError,
    PayloadError,
    PayloadNotJsonError,
    PayloadTooLargeError,
    PayloadValidationError,
    PollTimeoutError,
    QueueConflictError,
    QueueFullError,
    QueueRefusedError,
    RunCancelled,
    RunFailedError,
    RunNotDelayedError,
    RunNotFoundError,
    TaskImportError,
    UnknownQueueError,
    UnknownTaskError,
    UnsettledKeyError,
)
from jobs_platform.domain.lifecycle import Status
from jobs_platform.domain.machines import Machine
from jobs_platform.sdk.context import Context, ctx
from jobs_platform.sdk.debounce import Debounce
from jobs_platform.sdk.explanation import Explanation, Reason
from jobs_platform.sdk.handles import BatchHandle, RunHandle
from jobs_platform.sdk.hooks import hooks
from jobs_platform.sdk.idempotency import IdempotencyKey, idempotency_keys
from jobs_platform.sdk.logger import logger
from jobs_platform.sdk.namespaces import batch, tasks
from jobs_platform.sdk.queue import Queue, RateLimit
from jobs_platform.sdk.queue_info import EnvironmentPause, QueueInfo
from jobs_platform.sdk.queues import queues
from jobs_platform.sdk.retry import OutOfMemory, Retry
from jobs_platform.sdk.run_state import locals, tags, usage  # noqa: A004 - as in Trigger.dev
from jobs_platform.sdk.runs import runs
from jobs_platform.sdk.schedules import ScheduledPayload, schedules
from jobs_platform.sdk.task import Task, task
from jobs_platform.sdk.triggering import BatchItem
from jobs_platform.sdk.values import Attempt, Batch, Event, LogLine, Run, RunError

__all__ = [
    "AbortTaskRunError",
    "Attempt",
    "Batch",
    "BatchHandle",
    "BatchItem",
    "BatchNotFoundError",
    "ConfigurationError",
    "Context",
    "Cron",
    "DatabaseUnavailableError",
    "Debounce",
    "DuplicateTaskError",
    "EnvironmentPause",
    "Event",
    "Explanation",
    "IdempotencyKey",
    "InvalidCronError",
    "InvalidDurationError",
    "InvalidIdError",
    "InvalidOptionError",
    "InvalidTagError",
    "InvalidTaskError",
    "JobsError",
    "LogLine",
    "Machine",
    "MaxDurationExceeded",
    "MetadataError",
    "NotConfiguredError",
    "NotFoundError",
    "NotMigratedError",
    "OpenTransactionError",
    "OutOfMemory",
    "OutputError",
    "OutputNotJsonError",
    "OutputTooLargeError",
    "OutputValidationError",
    "OutsideRunError",
    "PayloadError",
    "PayloadNotJsonError",
    "PayloadTooLargeError",
    "PayloadValidationError",
    "PollTimeoutError",
    "Queue",
    "QueueConflictError",
    "QueueFullError",
    "QueueInfo",
    "QueueRefusedError",
    "RateLimit",
    "Reason",
    "Retry",
    "Run",
    "RunCancelled",
    "RunError",
    "RunFailedError",
    "RunHandle",
    "RunNotDelayedError",
    "RunNotFoundError",
    "ScheduledPayload",
    "Status",
    "Task",
    "TaskImportError",
    "UnknownQueueError",
    "UnknownTaskError",
    "UnsettledKeyError",
    "batch",
    "ctx",
    "hooks",
    "idempotency_keys",
    "locals",
    "logger",
    "queues",
    "runs",
    "schedules",
    "tags",
    "task",
    "tasks",
    "usage",
]
