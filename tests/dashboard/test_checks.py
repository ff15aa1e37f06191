"""A project without the theme hears of it from `manage.py check`."""

from __future__ import annotations

import pytest
from django.apps import apps

from dashboard.checks import check_admin_theme


class App:
    def __init__(self, name: str) -> None:
        self.name = name


@pytest.mark.parametrize(
    ("installed", "expected"),
    [
        (["unfold", "django.contrib.admin"], []),
        (["django.contrib.admin"], ["jobs_dashboard.E002"]),
        (["unfold"], ["jobs_dashboard.E001"]),
        (["django.contrib.admin", "unfold"], ["jobs_dashboard.E003"]),
    ],
)
def test_what_is_missing_is_named(monkeypatch, installed, expected):
    monkeypatch.setattr(apps, "get_app_configs", lambda: [App(name) for name in installed])
    assert [error.id for error in check_admin_theme()] == expected
