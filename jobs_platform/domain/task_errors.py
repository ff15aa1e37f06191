"""The branches of the tree in `errors.py` that are about settings and the declaration of tasks."""

from __future__ import annotations

from jobs_platform.domain.error_base import JobsError, did_you_mean


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
