"""When hooks are called, in which order, and what their exceptions do."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import pytest

from jobs_platform import (
    AbortTaskRunError,
    MaxDurationExceeded,
    Retry,
    RunError,
    Status,
    hooks,
    locals,  # noqa: A004 - the public name
    task,
)
from jobs_platform.domain.clock import utc_now
from jobs_platform.domain.configuration import Configuration
from jobs_platform.domain.ids import encode
from jobs_platform.domain.retrying import RetryPolicy
from jobs_platform.engine.handoff import Outcome
from jobs_platform.engine.log import LogEntry
from jobs_platform.runtime.executor import Executor
from jobs_platform.runtime.interrupt import Interrupt
from jobs_platform.sdk.values import Run
from tests.unit.fakes import RecordingEngine
from tests.unit.runtime.claims import NOON, claimed

pytestmark = pytest.mark.usefixtures("fresh_process")

PLAIN = ("init", "cleanup", "on_start", "on_start_attempt")
FINAL = ("on_success", "on_failure", "on_complete", "on_cancel")


@pytest.fixture
def lines() -> list[LogEntry]:
    return []


@pytest.fixture
def executor(lines: list[LogEntry]) -> Iterator[Executor]:
    retries = RetryPolicy(randomize=False)
    made = Executor(Configuration(retries=retries), lines.append)
    yield made
    made.stop()


def _name(outcome: Outcome) -> str:
    return str(json.loads(outcome.error or "{}").get("name"))


def _recorder(seen: list[Any], label: str) -> Any:
    def hook(payload: Any, ctx: Any) -> None:
        seen.append(label)

    return hook


def _middleware(seen: list[Any], label: str) -> Any:
    def layer(payload: Any, ctx: Any) -> Iterator[None]:
        seen.append(f"{label} in")
        try:
            yield
        finally:
            seen.append(f"{label} out")

    return layer


def test_hooks_for_all_tasks_come_first_and_middleware_wraps_them(executor: Executor) -> None:
    seen: list[Any] = []
    for name in PLAIN:
        hooks.add(name, _recorder(seen, f"all {name}"))
    hooks.middleware(_middleware(seen, "all"))

    @task(middleware=[_middleware(seen, "own 1"), _middleware(seen, "own 2")])
    def works() -> None:
        seen.append("run")

    for name in PLAIN:
        works.add(name, _recorder(seen, f"own {name}"))
    executor.execute(claimed("works"))
    assert seen == [
        "all in",
        "own 1 in",
        "own 2 in",
        "all init",
        "own init",
        "all on_start",
        "own on_start",
        "all on_start_attempt",
        "own on_start_attempt",
        "run",
        "all cleanup",
        "own cleanup",
        "own 2 out",
        "own 1 out",
        "all out",
    ]


def test_on_start_is_for_the_first_attempt_only(executor: Executor) -> None:
    seen: list[Any] = []

    @task(on_start=_recorder(seen, "start"), on_start_attempt=_recorder(seen, "attempt"))
    def works() -> None: ...

    executor.execute(claimed("works", attempt_number=1))
    executor.execute(claimed("works", attempt_number=2))
    assert seen == ["start", "attempt", "attempt"]


def test_init_gives_its_result_to_the_context(executor: Executor) -> None:
    @hooks.init
    def for_all(payload: Any, ctx: Any) -> Any:
        return {"a": 1, "b": 1}

    @task
    def looks(payload: Any, ctx: Any) -> Any:
        return ctx.init

    @looks.init
    async def own(payload: Any, ctx: Any) -> Any:
        return {"b": payload}

    assert executor.execute(claimed("looks", "2")).output == '{"a":1,"b":2}'


def test_async_hooks_and_middleware_work_around_sync_and_async_functions(
    executor: Executor,
) -> None:
    seen: list[Any] = []

    @hooks.middleware
    async def layer(payload: Any, ctx: Any) -> AsyncIterator[None]:
        seen.append("in")
        locals.set("opened", value=True)
        yield
        seen.append("out")

    @hooks.on_start
    async def start(payload: Any, ctx: Any) -> None:
        seen.append("start")

    @task
    def sync() -> Any:
        return locals.get("opened")

    @task
    async def later() -> Any:
        return locals.get("opened")

    assert [executor.execute(claimed(name)).output for name in ("sync", "later")] == ["true"] * 2
    assert seen == ["in", "start", "out"] * 2


@pytest.mark.parametrize("name", ["init", "on_start", "on_start_attempt"])
def test_a_hook_before_the_function_fails_the_attempt_but_not_the_cleanup(
    executor: Executor, name: str
) -> None:
    seen: list[Any] = []

    @task(cleanup=_recorder(seen, "cleanup"))
    def works() -> None:
        seen.append("run")

    def broken(payload: Any, ctx: Any) -> None:
        raise LookupError

    works.add(name, broken)
    outcome = executor.execute(claimed("works"))
    assert (outcome.status, _name(outcome)) == (Status.QUEUED, "LookupError")
    assert seen == ["cleanup"]


def test_a_cleanup_that_raises_is_a_log_line_and_no_more(
    executor: Executor, lines: list[LogEntry]
) -> None:
    @task
    def works() -> str:
        return "fine"

    @works.cleanup
    def broken(payload: Any, ctx: Any) -> None:
        raise LookupError("left open")

    assert executor.execute(claimed("works")).output == '"fine"'
    assert [line.level for line in lines] == ["error"]
    assert "cleanup hook" in lines[0].message
    assert "LookupError: left open" in lines[0].message


def test_cleanup_comes_after_a_failed_function_too(executor: Executor) -> None:
    seen: list[Any] = []

    @task(cleanup=_recorder(seen, "cleanup"))
    def fails() -> None:
        raise ValueError

    assert _name(executor.execute(claimed("fails"))) == "ValueError"
    assert seen == ["cleanup"]


def _swallows(payload: Any, ctx: Any) -> Iterator[None]:
    with suppress(ValueError):
        yield


def _replaces(payload: Any, ctx: Any) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise AbortTaskRunError("translated") from error


def _raises_before(payload: Any, ctx: Any) -> Iterator[None]:
    raise LookupError
    yield


def _raises_after(payload: Any, ctx: Any) -> Iterator[None]:
    yield
    raise LookupError


def _never_yields(payload: Any, ctx: Any) -> Iterator[None]:
    return
    yield


def _yields_twice(payload: Any, ctx: Any) -> Iterator[None]:
    yield
    yield


async def _async_swallows(payload: Any, ctx: Any) -> AsyncIterator[None]:
    with suppress(ValueError):
        yield


async def _async_yields_twice(payload: Any, ctx: Any) -> AsyncIterator[None]:
    yield
    yield


@pytest.mark.parametrize(
    ("layer", "fails", "status", "name"),
    [
        (_swallows, True, Status.QUEUED, "ValueError"),
        (_async_swallows, True, Status.QUEUED, "ValueError"),
        (_replaces, True, Status.FAILED, "AbortTaskRunError"),
        (_raises_before, False, Status.QUEUED, "LookupError"),
        (_raises_after, False, Status.QUEUED, "LookupError"),
        (_never_yields, False, Status.QUEUED, "HookError"),
        (_yields_twice, False, Status.QUEUED, "HookError"),
        (_async_yields_twice, False, Status.QUEUED, "HookError"),
    ],
)
def test_middleware_sees_errors_and_may_replace_but_not_swallow_them(
    executor: Executor, layer: Any, fails: bool, status: Status, name: str
) -> None:
    @task(middleware=layer)
    def works() -> None:
        if fails:
            raise ValueError

    outcome = executor.execute(claimed("works"))
    assert (outcome.status, _name(outcome)) == (status, name)


def test_catch_error_asks_the_task_first_and_stops_at_the_first_answer(
    executor: Executor,
) -> None:
    seen: list[str] = []

    def asked(label: str, answer: Any) -> Any:
        def hook(error: BaseException, ctx: Any) -> Any:
            seen.append(f"{label}: {error}")
            return answer

        return hook

    hooks.catch_error(asked("all 1", Retry.after("7s")))
    hooks.catch_error(asked("all 2", Retry.skip()))

    @task(catch_error=asked("own", None))
    def fails() -> None:
        raise ValueError("no")

    outcome = executor.execute(claimed("fails"))
    assert (outcome.status, outcome.retry_after_seconds) == (Status.QUEUED, 7.0)
    assert seen == ["own: no", "all 1: no"]


@pytest.mark.parametrize(
    ("answer", "attempt_number", "expected"),
    [
        (None, 1, (Status.QUEUED, 1.0, "ValueError")),
        (Retry.skip(), 1, (Status.FAILED, None, "ValueError")),
        (Retry.after(9), 1, (Status.QUEUED, 9.0, "ValueError")),
        (Retry.after(9), 3, (Status.FAILED, None, "ValueError")),
        (Retry(min_timeout=5, randomize=False), 1, (Status.QUEUED, 5.0, "ValueError")),
        (KeyError("k"), 1, (Status.QUEUED, 1.0, "KeyError")),
        (AbortTaskRunError("x"), 1, (Status.FAILED, None, "AbortTaskRunError")),
        ("text", 1, (Status.CRASHED, None, "HookError")),
    ],
)
def test_the_answer_of_catch_error_decides(
    executor: Executor,
    answer: Any,
    attempt_number: int,
    expected: tuple[Status, float | None, str],
) -> None:
    @task(catch_error=lambda error, ctx: answer)
    def fails() -> None:
        raise ValueError

    outcome = executor.execute(claimed("fails", attempt_number=attempt_number))
    assert (outcome.status, outcome.retry_after_seconds, _name(outcome)) == expected


def test_retry_at_waits_until_the_instant_and_never_less_than_nothing(executor: Executor) -> None:
    answers = [Retry.at(utc_now() + timedelta(hours=1)), Retry.at(NOON)]

    @task(catch_error=lambda error, ctx: answers.pop(0))
    def fails() -> None:
        raise ValueError

    first, second = (executor.execute(claimed("fails")).retry_after_seconds for _ in range(2))
    assert first == pytest.approx(3600, abs=60)
    assert second is not None
    assert second >= 0


def test_a_catch_error_that_raises_crashes_the_run(
    executor: Executor, lines: list[LogEntry]
) -> None:
    @task
    def fails() -> None:
        raise ValueError("first")

    @fails.catch_error
    def broken(error: BaseException, ctx: Any) -> None:
        raise LookupError("second")

    outcome = executor.execute(claimed("fails"))
    assert (outcome.status, _name(outcome)) == (Status.CRASHED, "LookupError")
    assert "ValueError: first" in lines[0].message


def test_catch_error_is_not_asked_about_an_abort_or_a_bad_payload(executor: Executor) -> None:
    seen: list[Any] = []

    @task(catch_error=lambda error, ctx: seen.append(error))
    def aborts(payload: int) -> None:
        raise AbortTaskRunError

    assert executor.execute(claimed("aborts", "1")).status is Status.FAILED
    assert executor.execute(claimed("aborts", '"x"')).status is Status.FAILED
    assert seen == []


def _final_hooks(seen: list[Any]) -> None:
    hooks.on_success(lambda payload, output, ctx: seen.append(("success", payload, output)))
    hooks.on_failure(lambda payload, error, ctx: seen.append(("failure", payload, error)))
    hooks.on_cancel(lambda payload, ctx: seen.append(("cancel", payload)))
    hooks.on_complete(lambda payload, ctx: seen.append(("complete", ctx.run.id)))


def test_final_hooks_get_payload_and_output_after_the_attempt(executor: Executor) -> None:
    seen: list[Any] = []
    _final_hooks(seen)

    @task
    def works(payload: Any) -> Any:
        return (payload,)

    run = claimed("works", "5")
    outcome = executor.execute(run)
    assert seen == []
    assert outcome.has_final_hooks
    executor.call_final_hooks(run, outcome)
    assert seen == [("success", 5, [5]), ("complete", encode("run", run.id))]


def test_final_hooks_get_the_error_as_it_is_stored(executor: Executor) -> None:
    seen: list[Any] = []
    _final_hooks(seen)

    @task
    def fails(payload: int) -> None:
        raise ValueError("no")

    run = claimed("fails", '"not a number"')
    executor.call_final_hooks(run, executor.execute(run))
    kind, payload, error = seen[0]
    assert (kind, payload) == ("failure", "not a number")
    assert isinstance(error, RunError)
    assert error.name == "PayloadValidationError"


def test_an_attempt_that_is_tried_again_has_no_final_hooks(executor: Executor) -> None:
    _final_hooks([])

    @task
    def fails() -> None:
        raise ValueError

    assert executor.execute(claimed("fails")).has_final_hooks is False
    assert executor.execute(claimed("fails", attempt_number=3)).has_final_hooks is True


def _stored(status: Status, **facts: Any) -> Run:
    run = claimed("stored")
    values: dict[str, Any] = {
        "id": encode("run", run.id),
        "task_id": "stored",
        "status": status,
        "version": 3,
        "environment": "prod",
        "queue": "task/stored",
        "machine": "default",
        "payload": {"n": 1},
        "output": None,
        "error": None,
        "metadata": {},
        "tags": (),
        "attempt_number": 0,
        "max_attempts": 3,
        "priority": 0.0,
        "is_test": False,
        "created_at": NOON,
        "run_at": None,
        "started_at": None,
        "finished_at": NOON,
        "duration_ms": None,
    }
    return Run(**{**values, **facts})


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (Status.CANCELED, ("cancel", {"n": 1})),
        (Status.EXPIRED, ("failure", {"n": 1}, RunError("EXPIRED", "The run ended as EXPIRED."))),
        (Status.CRASHED, ("failure", {"n": 1}, RunError("CRASHED", "The run ended as CRASHED."))),
        (Status.COMPLETED, ("success", {"n": 1}, None)),
    ],
)
def test_runs_that_ended_without_this_worker_have_their_final_hooks_called(
    executor: Executor, engine: RecordingEngine, status: Status, expected: Any
) -> None:
    seen: list[Any] = []
    _final_hooks(seen)
    engine.run = _stored(status)
    executor.call_stored_final_hooks(claimed("stored").id)
    assert seen == [expected, ("complete", engine.run.id)]


def test_a_final_hook_that_raises_is_a_log_line_and_the_others_are_called(
    executor: Executor, lines: list[LogEntry]
) -> None:
    seen: list[Any] = []

    @hooks.on_cancel
    def broken(payload: Any, ctx: Any) -> None:
        raise LookupError("no")

    @hooks.on_cancel
    async def second(payload: Any, ctx: Any) -> None:
        seen.append("second")

    hooks.on_complete(_recorder(seen, "complete"))
    executor.run_final_hooks(_stored(Status.CANCELED))
    assert seen == ["second", "complete"]
    assert [line.level for line in lines] == ["error"]


@contextmanager
def _looked_at(interrupt: Interrupt) -> Iterator[None]:
    """As the watch does."""
    is_over = threading.Event()

    def look() -> None:
        while not is_over.wait(0.002):
            interrupt.stop_overdue()

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


@pytest.mark.parametrize("is_async", [False, True])
def test_on_cancel_has_its_time_and_is_told_when_that_is_over(
    lines: list[LogEntry], is_async: bool
) -> None:
    seen: list[Any] = []

    def spins(payload: Any, ctx: Any) -> None:
        try:
            until = time.monotonic() + 5
            while time.monotonic() < until:
                pass
        except MaxDurationExceeded:
            seen.append("told")
            raise

    async def waits(payload: Any, ctx: Any) -> None:
        try:
            await asyncio.Event().wait()
        except MaxDurationExceeded:
            seen.append("told")
            raise

    hooks.on_cancel(waits if is_async else spins)
    hooks.on_complete(_recorder(seen, "complete"))
    executor = Executor(Configuration(cancel_grace_seconds=0.02), lines.append)
    interrupt = Interrupt()
    with _looked_at(interrupt):
        executor.run_final_hooks(_stored(Status.CANCELED), interrupt=interrupt)
    executor.stop()
    assert seen == ["told", "complete"]
    assert [line.message for line in lines] == ["on_cancel was stopped after its 0.02 s."]


def test_on_worker_start_is_called_when_the_process_starts(executor: Executor) -> None:
    seen: list[str] = []
    hooks.on_worker_start(lambda: seen.append("sync"))

    @hooks.on_worker_start
    async def later() -> None:
        seen.append("async")

    executor.start()
    assert seen == ["sync", "async"]
