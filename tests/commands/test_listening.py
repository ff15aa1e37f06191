"""The web's port: given, found, refused."""

from __future__ import annotations

import pytest

from jobs_platform.management import listening
from jobs_platform.management.jobs_command import CommandFailure
from jobs_platform.management.listening import listen
from tests.commands.conftest import Manage


def test_a_given_port_that_is_in_use_is_refused() -> None:
    with listen(0) as taken, pytest.raises(CommandFailure, match="is in use") as caught:
        listen(taken.getsockname()[1])
    assert caught.value.code == "port_in_use"


def test_without_a_given_port_the_next_free_one_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    with listen(0) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(listening, "FIRST_PORT", port)
        with listen(None) as found:
            assert found.getsockname()[1] > port
        monkeypatch.setattr(listening, "_TRIED_PORTS", 1)
        with pytest.raises(CommandFailure, match="Choose one with --port"):
            listen(None)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--port", "70000"), "is not a port"),
        (("--port", "web"), "invalid int value: 'web'"),
        (("--workers", "0"), "--workers 0 is not between 1 and 64"),
        (("--tasks", "/nowhere/tasks"), "--tasks /nowhere/tasks: there is no such folder"),
        (("--debug", "--json"), "leave out --json"),
    ],
)
def test_dev_refuses_what_cannot_be_before_it_starts_anything(
    manage: Manage, arguments: tuple[str, ...], expected: str
) -> None:
    finished = manage("dev", *arguments)
    assert (finished.code, expected in finished.out + finished.err) == (2, True), finished
