"""What `manage.py check` says."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jobs_platform import checks, conf
from jobs_platform.domain.configuration import Configuration
from jobs_platform.sdk import ports

TASK = "from jobs_platform import task\n\n@task(id={id!r})\ndef f():\n    pass\n"


def _settings(monkeypatch: pytest.MonkeyPatch, **given: Any) -> None:
    for module in (conf, checks):
        monkeypatch.setattr(module, "settings", SimpleNamespace(**given), raising=False)


@pytest.mark.parametrize(
    ("jobs", "ids"),
    [
        ({}, []),
        ({"TLT": 1}, ["jobs.E001"]),
        ({"RETRIES_ENABLED_IN_DEV": False}, ["jobs.W001"]),
        ({"RETRIES_ENABLED_IN_DEV": False, "ENVIRONMENT": "prod"}, []),
    ],
)
def test_settings_are_checked(
    monkeypatch: pytest.MonkeyPatch, jobs: dict[str, Any], ids: list[str]
) -> None:
    _settings(monkeypatch, JOBS=jobs)
    assert [message.id for message in checks.check_configuration(app_configs=None)] == ids


@pytest.mark.parametrize(
    ("engine", "ids"),
    [
        ("django.db.backends.postgresql", []),
        ("django.contrib.gis.db.backends.postgis", []),
        ("my.pooled.postgresql", []),
        ("django.db.backends.sqlite3", ["jobs.E002"]),
        ("", ["jobs.E002"]),
    ],
)
def test_the_database_has_to_be_postgresql(
    monkeypatch: pytest.MonkeyPatch, engine: str, ids: list[str]
) -> None:
    _settings(monkeypatch, DATABASES={"default": {"ENGINE": engine}})
    assert [message.id for message in checks.check_database(databases=None)] == ids


def test_broken_modules_clashes_and_bad_tasks_are_reported(
    fresh_process: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fresh_process / "check_tasks"
    folder.mkdir()
    sources = {
        "a": TASK.format(id="one"),
        "b": TASK.format(id="one"),
        "c": TASK.format(id="Bad Id"),
        "d": "import nothing_of_this_name\n",
    }
    for name, source in sources.items():
        (folder / f"{name}.py").write_text(source)
    configuration = Configuration(base_dir=str(fresh_process), dirs=("check_tasks", "nowhere"))
    monkeypatch.setattr(ports._platform, "configuration", configuration)
    found = [message.id for message in checks.check_tasks()]
    assert found == ["jobs.E004", "jobs.E005", "jobs.E003", "jobs.E006"]
