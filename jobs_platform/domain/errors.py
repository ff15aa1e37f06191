"""Every error of the platform, in one tree. Owns wording and codes; never decides anything.

    JobsError
    ├── ConfigurationError
    │   └── NotConfiguredError
    ├── TaskDefinitionError
    │   ├── InvalidTaskError
    │   ├── DuplicateTaskError
    │   ├── TaskImportError
    │   └── TaskFolderError
    ├── UnknownTaskError
    ├── InvalidIdError
    ├── InvalidDurationError
    ├── InvalidTagError
    ├── InvalidOptionError
    ├── TooManyItemsError
    ├── ScheduleError
    │   └── InvalidCronError
    ├── DataError
    │   ├── NotJsonError            PayloadNotJsonError, OutputNotJsonError, MetadataNotJsonError
    │   ├── TooLargeError           PayloadTooLargeError, OutputTooLargeError, MetadataTooLargeError
    │   ├── ValidationError         PayloadValidationError, OutputValidationError
    │   └── PayloadError, OutputError, MetadataError: the same leaves, by what they are about
    ├── NotFoundError
    │   └── RunNotFoundError, BatchNotFoundError
    ├── QueueRefusedError
    │   └── QueueFullError, QueueConflictError
    ├── UnknownQueueError
    ├── RunNotDelayedError
    ├── UnsettledKeyError
    ├── AbortTaskRunError           raised by users: fail without retry
    ├── RunFailedError
    ├── PollTimeoutError
    ├── OpenTransactionError
    ├── OutsideRunError
    ├── HookError
    ├── AttemptNotLiveError
    ├── WriteGuardError
    ├── DatabaseUnavailableError
    └── NotMigratedError

    RunCancelled (a BaseException)  raised inside the user's frame when a run is cancelled
    MaxDurationExceeded (the same)  when an attempt has used up its maximum duration

A docstring is the message; names in braces are attributes. `code` is stable, the wording is not.
Settings and tasks are written down in `task_errors.py`, DataError in `data_errors.py`, queues,
delays and keys in `flow_errors.py`.
"""

from __future__ import annotations

from typing import Any, ClassVar

from jobs_platform.domain.data_errors import (
    DataError,
    MetadataError,
    MetadataNotJsonError,
    MetadataTooLargeError,
    NotJsonError,
    OutputError,
    OutputNotJsonError,
    OutputTooLargeError,
    OutputValidationError,
    PayloadError,
    PayloadNotJsonError,
    PayloadTooLargeError,
    PayloadValidationError,
    TooLargeError,
    ValidationError,
)
from jobs_platform.domain.error_base import JobsError, close_matches, did_you_mean
from jobs_platform.domain.flow_errors import (
    QueueConflictError,
    QueueFullError,
    QueueRefusedError,
    RunNotDelayedError,
    UnknownQueueError,
    UnsettledKeyError,
)
from jobs_platform.domain.task_errors import (
    ConfigurationError,
    DuplicateTaskError,
    InvalidTaskError,
    NotConfiguredError,
    TaskDefinitionError,
    TaskFolderError,
    TaskImportError,
    UnknownTaskError,
)

# Arguments ----------------------------------------------------------------------------------------


class InvalidIdError(JobsError):
    """{text!r} is not an id of this kind: expected "{prefix}_" and 26 letters or digits, as a
    handle's .id gives it."""

    code = "id_invalid"
    prefix: str
    text: Any


class InvalidDurationError(JobsError):
    """{name} {value!r} {reason}. Write a timedelta, a number of seconds, or text such as "30s",
    "1h52m", "7d"."""

    code = "duration_invalid"
    value: Any
    reason: str
    name: str = "The duration"


class InvalidTagError(JobsError):
    """Tag {tag!r} {reason}. A run has up to {limit} tags of 1 to {length_limit} characters."""

    code = "tag_invalid"
    tag: Any
    reason: str
    limit: int = 10
    length_limit: int = 128


class InvalidOptionError(JobsError):
    """Option {option} = {shown} {reason}.{suggestion}"""

    code = "option_invalid"
    option: str
    value: Any
    reason: str
    suggestion: str = ""

    @property
    def shown(self) -> str:
        text = repr(self.value)
        return text if len(text) <= 100 else f"{text[:99]}…"


class TooManyItemsError(JobsError):
    """{count} items were given, but one call takes at most {limit}. {advice}"""

    code = "too_many_items"
    count: int
    limit: int
    advice: str = "Split them into several calls."


class ScheduleError(JobsError):
    """The schedule is not valid."""

    code = "schedule_invalid"


class InvalidCronError(ScheduleError):
    """Cron {expression!r} {reason}.{suggestion}"""

    code = "cron_invalid"
    expression: Any
    reason: str
    suggestion: str = ""


# Runs ---------------------------------------------------------------------------------------------


class NotFoundError(JobsError):
    """Nothing has the id {id!r} in environment {environment!r}."""

    code = "not_found"
    id: str
    environment: str | None = None


class RunNotFoundError(NotFoundError):
    """No run has the id {id!r}. It may belong to another environment or database, have been pruned,
    or its transaction may not be committed yet."""

    code = "run_not_found"


class BatchNotFoundError(NotFoundError):
    """No batch has the id {id!r}. It may belong to another environment or database, have been
    pruned, or its transaction may not be committed yet."""

    code = "batch_not_found"


class AbortTaskRunError(JobsError):
    """The task gave up: this run fails now, whatever attempts remain."""

    code = "aborted"

    def __init__(self, message: str = "The task aborted the run.") -> None:
        Exception.__init__(self, message)
        self._fields = {"message": message}


class RunFailedError(JobsError):
    """Run {id!r} of task {task_id!r} ended as {status}: {reason}"""

    code = "run_failed"
    id: str
    task_id: str
    status: str
    reason: str


class PollTimeoutError(JobsError):
    """Run {id!r} is still {status} after {seconds:g} seconds. It goes on; runs.retrieve(id) gives
    its state."""

    code = "poll_timeout"
    id: str
    status: str
    seconds: float


class OpenTransactionError(JobsError):
    """{verb} inside an open transaction would wait for ever: the run is invisible to workers until
    the commit. Trigger inside the transaction, and poll after it."""

    code = "open_transaction"
    verb: str


class OutsideRunError(JobsError):
    """{name} is only there while a run executes. Outside a run there is nothing that it could
    mean."""

    code = "outside_run"
    name: str


class HookError(JobsError):
    """The {hook} hook of {owner} {reason}."""

    code = "hook_failed"
    hook: str
    owner: str
    reason: str


class AttemptNotLiveError(JobsError):
    """Attempt {fencing_token} of run {id!r} is over: its lease ended, or the run was cancelled or
    given to another worker. What it wrote was refused."""

    code = "attempt_not_live"
    id: str
    fencing_token: int


class WriteGuardError(JobsError):
    """{model} rows are written by the engine only ({operation} was refused). Use the SDK: trigger,
    runs.cancel, runs.replay, …"""

    code = "write_guard"
    model: str
    operation: str


class DatabaseUnavailableError(JobsError):
    """The database cannot be reached: {reason}. Nothing was written. Check that PostgreSQL runs and
    that DATABASES points to it, then call again."""

    code = "database_unavailable"
    reason: str


class NotMigratedError(JobsError):
    """The tables of Jobs Platform are missing or old ({reason}). Run `manage.py migrate`."""

    code = "not_migrated"
    reason: str


class RunCancelled(BaseException):
    """This run was cancelled; leave the function. Not an `Exception`, so `except Exception` lets it
    pass."""

    code: ClassVar[str] = "run_cancelled"

    def __init__(self, message: str = "The run was cancelled.") -> None:
        super().__init__(message)


class MaxDurationExceeded(BaseException):
    """This attempt has used up its maximum duration; clean up and leave the function. Whatever it
    returns now, the run ends as timed out. Not an `Exception`, so `except Exception` lets it pass;
    in async code it is an `asyncio.CancelledError` too."""

    code: ClassVar[str] = "max_duration_exceeded"

    def __init__(self, seconds: float | None = None) -> None:
        limit = "" if seconds is None else f" of {seconds:g} s"
        advice = "Raise max_duration if the work needs longer."
        super().__init__(f"The attempt reached its maximum duration{limit}. {advice}")
        self.seconds = seconds


__all__ = [
    "AbortTaskRunError",
    "AttemptNotLiveError",
    "BatchNotFoundError",
    "ConfigurationError",
    "DataError",
    "DatabaseUnavailableError",
    "DuplicateTaskError",
    "HookError",
    "InvalidCronError",
    "InvalidDurationError",
    "InvalidIdError",
    "InvalidOptionError",
    "InvalidTagError",
    "InvalidTaskError",
    "JobsError",
    "MaxDurationExceeded",
    "MetadataError",
    "MetadataNotJsonError",
    "MetadataTooLargeError",
    "NotConfiguredError",
    "NotFoundError",
    "NotJsonError",
    "NotMigratedError",
    "OpenTransactionError",
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
    "QueueConflictError",
    "QueueFullError",
    "QueueRefusedError",
    "RunCancelled",
    "RunFailedError",
    "RunNotDelayedError",
    "RunNotFoundError",
    "ScheduleError",
    "TaskDefinitionError",
    "TaskFolderError",
    "TaskImportError",
    "TooLargeError",
    "TooManyItemsError",
    "UnknownQueueError",
    "UnknownTaskError",
    "UnsettledKeyError",
    "ValidationError",
    "WriteGuardError",
    "close_matches",
    "did_you_mean",
]
