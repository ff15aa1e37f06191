"""`manage.py check`: mistakes that are cheaper to hear of now than from a failed run.

| id | what |
|---|---|
| jobs.E001 | `JOBS` has an unknown key or a bad value |
| jobs.E002 | the default database is not PostgreSQL |
| jobs.E003 | a task module does not import |
| jobs.E004 | two tasks have one id |
| jobs.E005 | a task is not declared correctly |
| jobs.E006 | a folder or package in `JOBS["DIRS"]` does not exist |
| jobs.W001 | retries are off in development |
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core import checks

from jobs_platform import conf
from jobs_platform.domain.configuration import DEVELOPMENT
from jobs_platform.domain.errors import (
    ConfigurationError,
    DuplicateTaskError,
    TaskDefinitionError,
    TaskFolderError,
    TaskImportError,
)
from jobs_platform.sdk.registry import registry

TAG = "jobs"
_POSTGRES = ("django.db.backends.postgresql", "django.contrib.gis.db.backends.postgis")


def register() -> None:
    """Make them known to Django; called once, by `apps.py`."""
    for check in (check_configuration, check_database, check_tasks):
        checks.register(check, TAG)


def check_configuration(**_: Any) -> list[checks.CheckMessage]:
    try:
        configuration = conf.read()
    except ConfigurationError as error:
        return [checks.Error(str(error), hint="Mend JOBS in the settings.", id="jobs.E001")]
    if configuration.environment == DEVELOPMENT and not configuration.retries_enabled_in_dev:
        message = 'JOBS["RETRIES_ENABLED_IN_DEV"] is False: failed runs are not tried again here.'
        return [checks.Warning(message, id="jobs.W001")]
    return []


def check_database(**_: Any) -> list[checks.CheckMessage]:
    engine = settings.DATABASES.get("default", {}).get("ENGINE", "")
    if engine in _POSTGRES or engine.endswith((".postgresql", ".postgis")):
        return []
    message = f"Jobs Platform keeps its runs in PostgreSQL, but DATABASES['default'] is {engine!r}."
    hint = 'Set ENGINE to "django.db.backends.postgresql"; `manage.py dev` brings a server along.'
    return [checks.Error(message, hint=hint, id="jobs.E002")]


def check_tasks(**_: Any) -> list[checks.CheckMessage]:
    return [_message(error) for error in registry.discover().errors]


def _message(error: TaskDefinitionError) -> checks.CheckMessage:
    if isinstance(error, DuplicateTaskError):
        return checks.Error(str(error), id="jobs.E004")
    if isinstance(error, TaskImportError):
        return checks.Error(str(error), id="jobs.E003")
    if isinstance(error, TaskFolderError):
        return checks.Error(str(error), id="jobs.E006")
    return checks.Error(str(error), id="jobs.E005")
