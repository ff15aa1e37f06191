"""Commands called as the shell calls them, and tasks and runs for them.

Only tests in which runs move need the `world` of committed rows, which takes its time to clear.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import pytest

from jobs_platform import task
from jobs_platform.domain.lifecycle import Status
from jobs_platform.engine import caller
from jobs_platform.engine.handoff import Outcome
from jobs_platform.management import jobs_command
from jobs_platform.sdk.registry import registry
from tests.world import World
from tests.world import world as world  # noqa: PLC0414


@dataclass(frozen=True, slots=True)
class Finished:
    """What a command has left: its exit code and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one line of JSON that it wrote."""
        (line,) = self.out.splitlines()
        return json.loads(line)

    @property
    def json_lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


Manage = Callable[..., Finished]


@pytest.fixture
def manage(monkeypatch: pytest.MonkeyPatch) -> Manage:
    """`manage("trigger", "hello", "--json")`; `stdin` is what it reads from standard input."""

    # A test without committed rows lives in one transaction of this connection.
    monkeypatch.setattr(jobs_command.connections, "close_all", lambda: None)

    def call(name: str, *arguments: str, stdin: str | bytes = "") -> Finished:
        out, err = io.StringIO(), io.StringIO()
        data = stdin.encode() if isinstance(stdin, str) else stdin
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        module = import_module(f"jobs_platform.management.commands.{name}")
        try:
            module.Command(stdout=out, stderr=err).run_from_argv(["manage.py", name, *arguments])
        except SystemExit as error:
            return Finished(int(error.code or 0), out.getvalue(), err.getvalue())
        return Finished(0, out.getvalue(), err.getvalue())

    return call


@pytest.fixture
def hello(db: None, monkeypatch: pytest.MonkeyPatch) -> str:
    """The id of a task that this process knows."""
    monkeypatch.setattr(registry, "_tasks", dict(registry._tasks))

    @task(id="hello", queue="greetings")
    def hello(payload: dict[str, int] | None) -> object:
        return payload

    return hello.id


@pytest.fixture
def finishing(world: World) -> Iterator[Callable[[Status], None]]:
    """From its call on, every triggered run ends at once with this status."""

    def begin(status: Status) -> None:
        def ring(worker_queue: str, wanted: int) -> None:
            run = world.claim_one()
            is_success = status is Status.COMPLETED
            error = json.dumps({"name": "ValueError", "message": "no good", "traceback": "Trace"})
            world.finish(
                Outcome(
                    run.id,
                    run.fencing_token,
                    status,
                    output='{"answer": 42}' if is_success else None,
                    error=None if is_success else error,
                )
            )

        caller.bind_bell(ring)

    yield begin
    caller.bind_bell(world.bell)
