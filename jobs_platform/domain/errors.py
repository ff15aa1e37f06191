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

A docstring is the message; names in braces are attributes. `code` is stable, the wording is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, ClassVar, dataclass_transform


def close_matches(text: str, known: Iterable[str]) -> tuple[str, ...]:
    """Up to three known words that `text` may have meant, the nearest first."""
    candidates = {word.lower(): word for word in known}
    return tuple(candidates[word] for word in get_close_matches(text.lower(), candidates, n=3))


def did_you_mean(close: Iterable[str]) -> str:
    """` Did you mean "a" or "b"?`, or nothing."""
    words = [f'"{word}"' for word in close]
    return f" Did you mean {' or '.join(words)}?" if words else ""


class _Attributes(Mapping[str, Any]):
    """The attributes of an error, as `str.format_map` wants them."""

    def __init__(self, error: object) -> None:
        self._error = error

    def __getitem__(self, name: str) -> Any:
        return getattr(self._error, name)

    def __iter__(self) -> Any:
        return iter(vars(self._error))

    def __len__(self) -> int:
        return len(vars(self._error))


@dataclass_transform(kw_only_default=True)
class JobsError(Exception):
    """Jobs Platform could not do what it was asked."""

    code: ClassVar[str] = "jobs_error"

    def __init__(self, **fields: Any) -> None:
        for name, value in fields.items():
            setattr(self, name, value)
        self._fields = fields
        template = " ".join((type(self).__doc__ or self.code).split())
        super().__init__(template.format_map(_Attributes(self)))

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self._fields)


def _rebuild(kind: type[JobsError], fields: dict[str, Any]) -> JobsError:
    """Unpickle: errors cross process borders, and keyword arguments do not survive `args`."""
    return kind(**fields)


# Settings and tasks -------------------------------------------------------------------------------


class ConfigurationError(JobsError):
    """JOBS[{key!r}] in the settings {reason}.{suggestion}"""

    code = "configuration_invalid"
    key: str
    reason: str
    suggestion: str = ""


class NotConfiguredError(ConfigurationError):
    """Jobs Platform is not connected to a database. Add "jobs_platform" to INSTALLED_APPS and call
    django.setup() before the first trigger."""

    code = "not_configured"
    key: str = ""
    reason: str = ""


class TaskDefinitionError(JobsError):
    """A task is not declared correctly."""

    code = "task_definition"


class InvalidTaskError(TaskDefinitionError):
    """Task {task_id!r} at {place}: {reason}.{suggestion}"""

    code = "task_invalid"
    task_id: str
    place: str
    reason: str
    suggestion: str = ""


class DuplicateTaskError(TaskDefinitionError):
    """Two tasks have the id {task_id!r}: {first_place} and {second_place}. Give one of them
    another id with @task(id="…")."""

    code = "task_duplicate"
    task_id: str
    first_place: str
    second_place: str


class TaskImportError(TaskDefinitionError):
    """Task module {module!r} does not import: {reason} ({file}, line {line}). Its tasks are unknown
    until it does."""

    code = "task_import"
    module: str
    file: str
    line: int
    reason: str


class TaskFolderError(TaskDefinitionError):
    """{entry!r} in JOBS["DIRS"] is neither a folder ({folder}) nor a package that imports."""

    code = "task_folder"
    entry: str
    folder: str


class UnknownTaskError(JobsError):
    """No task has the id {task_id!r}.{suggestion} Task modules are looked for in JOBS["DIRS"];
    `manage.py tasks` lists what was found.{broken_modules}"""

    code = "task_unknown"
    task_id: str
    close: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    """Modules that do not import: the task may be in one of them."""

    @property
    def suggestion(self) -> str:
        return did_you_mean(self.close)

    @property
    def broken_modules(self) -> str:
        return f" Not importable: {', '.join(self.broken)}." if self.broken else ""


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


# Data: payloads, outputs, metadata ----------------------------------------------------------------


class DataError(JobsError):
    """A value cannot be stored."""

    code = "data_invalid"


class NotJsonError(DataError):
    """{path}: {reason}. Pass JSON values, dates, Decimal, UUID, Enum, dataclasses or pydantic
    models."""

    code = "not_json"
    path: str
    reason: str


class TooLargeError(DataError):
    """The {what} is {size:,} bytes of JSON; the limit is {limit:,}. Store the data elsewhere and
    pass a reference to it."""

    code = "too_large"
    what: ClassVar[str] = "value"
    size: int
    limit: int


class ValidationError(DataError):
    """The {what} of task {task_id!r} does not fit its declared type: {summary}."""

    code = "validation"
    what: ClassVar[str] = "value"
    task_id: str
    problems: tuple[str, ...]
    """`path: message`, one for each thing that pydantic refused."""

    @property
    def summary(self) -> str:
        shown = "; ".join(self.problems[:10])
        more = len(self.problems) - 10
        return f"{shown}; and {more} more" if more > 0 else shown


class PayloadError(DataError):
    """The payload cannot be used."""

    code = "payload_invalid"


class OutputError(DataError):
    """The output cannot be stored."""

    code = "output_invalid"


class MetadataError(DataError):
    """The metadata cannot be stored."""

    code = "metadata_invalid"


class PayloadNotJsonError(NotJsonError, PayloadError):
    __doc__ = NotJsonError.__doc__
    code = "payload_not_json"


class OutputNotJsonError(NotJsonError, OutputError):
    __doc__ = NotJsonError.__doc__
    code = "output_not_json"


class MetadataNotJsonError(NotJsonError, MetadataError):
    __doc__ = NotJsonError.__doc__
    code = "metadata_not_json"


class PayloadTooLargeError(TooLargeError, PayloadError):
    __doc__ = TooLargeError.__doc__
    code = "payload_too_large"
    what = "payload"


class OutputTooLargeError(TooLargeError, OutputError):
    __doc__ = TooLargeError.__doc__
    code = "output_too_large"
    what = "output"


class MetadataTooLargeError(TooLargeError, MetadataError):
    __doc__ = TooLargeError.__doc__
    code = "metadata_too_large"
    what = "metadata"


class PayloadValidationError(ValidationError, PayloadError):
    __doc__ = ValidationError.__doc__
    code = "payload_validation"
    what = "payload"


class OutputValidationError(ValidationError, OutputError):
    __doc__ = ValidationError.__doc__
    code = "output_validation"
    what = "output"


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
