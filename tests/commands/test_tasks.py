"""`manage.py tasks`: what the code declares, and what does not import."""

from __future__ import annotations

import pytest

from jobs_platform.domain.errors import TaskImportError
from jobs_platform.sdk.discovery import Report
from jobs_platform.sdk.registry import registry
from tests.commands.conftest import Manage


def test_tasks_are_listed_with_their_place(manage: Manage, hello: str) -> None:
    lines = manage("tasks").out.splitlines()
    (line,) = [line for line in lines if line.startswith("hello ")]
    assert line.split()[1].startswith("tests/commands/conftest.py:")
    assert line.split()[2:5] == ["greetings", "default", "3"]
    defined = {task["id"]: task for task in manage("tasks", "--json").json["tasks"]}
    assert defined["hello"]["queue"] == "greetings"


def test_a_module_that_does_not_import_is_reported(
    manage: Manage, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = TaskImportError(module="tasks.x", file="tasks/x.py", line=3, reason="SyntaxError: no")
    monkeypatch.setattr(registry, "_report", Report((), (broken,)))
    finished = manage("tasks")
    assert finished.code == 0
    assert "error[task_import]: Task module 'tasks.x' does not import" in finished.err
    error = manage("tasks", "--json").json["errors"][0]
    assert (error["module"], error["line"]) == ("tasks.x", 3)


def test_without_tasks_it_says_where_they_are_looked_for(
    manage: Manage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_report", Report((), ()))
    monkeypatch.setattr(registry, "_tasks", {})
    assert manage("tasks").out == "No tasks found. They are looked for in: tasks.\n"
