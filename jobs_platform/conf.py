"""The `JOBS` dict of the project's settings as a checked `Configuration`. Keeps nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings

from jobs_platform.domain.configuration import Configuration
from jobs_platform.domain.errors import ConfigurationError


def configuration() -> Configuration:
    """The project's configuration; the defaults where `JOBS` is wrong, which `check` reports.

    So `manage.py check` can say what is wrong, instead of every command dying with a traceback.
    """
    try:
        return read()
    except ConfigurationError:
        return Configuration.from_mapping(_base_dir())


def read() -> Configuration:
    """The project's configuration; `ConfigurationError` when `JOBS` is wrong."""
    given = getattr(settings, "JOBS", {})
    if not isinstance(given, Mapping):
        return Configuration.from_mapping(given)
    return Configuration.from_mapping({**_base_dir(), **given})


def _base_dir() -> dict[str, Any]:
    """Folders of tasks are relative to the project, as Django's template sets it."""
    folder = getattr(settings, "BASE_DIR", None)
    return {"BASE_DIR": folder} if folder else {}
