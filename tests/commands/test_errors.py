"""How every command fails: one line, one code, one exit code."""

from __future__ import annotations

import io

import pytest
from django.core.management import call_command
from django.db import connections
from django.db.utils import OperationalError, ProgrammingError

from jobs_platform.management.commands import tasks
from jobs_platform.management.jobs_command import CommandFailure
from tests.commands.conftest import Manage


class _Refused(ProgrammingError):
    def __init__(self, sqlstate: str, text: str) -> None:
        super().__init__(text)
        self.__cause__ = Exception(text)
        self.__cause__.sqlstate = sqlstate  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OperationalError("connection refused"), "database_unavailable"),
        (_Refused("42P01", 'relation "jobs_run" does not exist'), "not_migrated"),
    ],
)
def test_a_database_that_is_not_usable_is_one_clear_line(
    manage: Manage, hello: str, monkeypatch: pytest.MonkeyPatch, error: Exception, code: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    for command in (("runs",), ("prune",), ("trigger", "hello")):
        with monkeypatch.context() as broken:
            broken.setattr(type(connections["default"]), "cursor", fail)
            finished, as_json = manage(*command), manage(*command, "--json")
        assert (finished.code, finished.out) == (1, "")
        assert finished.err.startswith(f"error[{code}]: ")
        assert len(finished.err.splitlines()) == 1
        assert (as_json.json["error"]["code"], as_json.err) == (code, "")


def test_a_wrong_command_line_is_json_too(manage: Manage) -> None:
    finished = manage("trigger", "--json")
    assert (finished.code, finished.json["error"]["code"], finished.err) == (2, "usage", "")


def test_an_interruption_is_quiet(manage: Manage, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tasks.Command, "run", interrupt)
    finished = manage("tasks")
    assert (finished.code, finished.out, finished.err) == (130, "", "")


def test_called_from_code_an_error_is_an_exception(hello: str) -> None:
    with pytest.raises(CommandFailure, match="Did you mean") as caught:
        call_command("trigger", "helo", stdout=io.StringIO())
    assert (caught.value.code, caught.value.returncode) == ("task_unknown", 1)
