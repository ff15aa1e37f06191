"""Checks that a project has what the dashboard's pages are made of: the admin and its theme."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage, Error

_THEME, _ADMIN = "unfold", "django.contrib.admin"


def check_admin_theme(**_: Any) -> list[CheckMessage]:
    """Unfold and the admin are installed, Unfold first: its templates replace Django's."""
    installed = [config.name for config in apps.get_app_configs()]
    errors: list[CheckMessage] = []
    if _ADMIN not in installed:
        errors.append(
            Error(
                "The Jobs dashboard lives in Django's admin, which is not installed.",
                hint=f'Add "{_ADMIN}" to INSTALLED_APPS, or remove the dashboard from it.',
                id="jobs_dashboard.E001",
            )
        )
    if _THEME not in installed:
        errors.append(
            Error(
                "The Jobs dashboard needs the admin theme django-unfold, which is not installed.",
                hint=f'Add "{_THEME}" to INSTALLED_APPS, before "{_ADMIN}".',
                id="jobs_dashboard.E002",
            )
        )
    elif _ADMIN in installed and installed.index(_THEME) > installed.index(_ADMIN):
        errors.append(
            Error(
                f'"{_THEME}" comes after "{_ADMIN}" in INSTALLED_APPS: its templates are not used.',
                hint=f'Move "{_THEME}" before "{_ADMIN}".',
                id="jobs_dashboard.E003",
            )
        )
    return errors
