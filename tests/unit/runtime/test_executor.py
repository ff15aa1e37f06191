"""One claimed run to one outcome."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel

from jobs_platform import (
    AbortTaskRunError,
    Context,
    Retry,
    RunCancelled,
    Status,
    UnknownTaskError,
    ctx,
    locals,  # noqa: A004 - the public name
    logger,
    tags,
    task,
    usage,
)
from jobs_platform.domain.configuration import Configuration
from jobs_platform.domain.ids import encode, new_uuid
from jobs_platform.domain.retrying import RetryPolicy
from jobs_platform.engine.handoff import Outcome
from jobs_platform.engine.log import LogEntry
from jobs_platform.runtime.executor import Executor
from jobs_platform.runtime.interrupt import Interrupt
from jobs_platform.sdk.context import current_run
from tests.unit.fakes import RecordingEngine
from tests.unit.runtime.claims import NOON, claimed

pytestmark = pytest.mark.usefixtures("fresh_process")

STEADY = RetryPolicy(randomize=False, min_timeout_seconds=2, max_timeout_seconds=5)


@pytest.fixture
def lines() -> list[LogEntry]:
    return []


@pytest.fixture
def executor(lines: list[LogEntry]) -> Iterator[Executor]:
    made = Executor(Configuration(retries=STEADY), lines.append)
    yield made
    made.stop()


class Order(BaseModel):
    id: int


def _error(outcome: Outcome) -> dict[str, Any]:
    assert outcome.error is not None
    error: dict[str, Any] = json.loads(outcome.error)
    return error


def test_what_a_function_returns_is_the_output(executor: Executor) -> None:
    @task
    def double(payload: int) -> dict[str, Any]:
        return {"twice": payload * 2, "as_tuple": (1,)}

    run = claimed("double", "21")
    outcome = executor.execute(run)
    assert (outcome.run_id, outcome.fencing_token) == (run.id, 7)
    assert (outcome.status, outcome.error) == (Status.COMPLETED, None)
    assert outcome.output == '{"twice":42,"as_tuple":[1]}'
    assert outcome.retry_after_seconds is None
    assert outcome.has_final_hooks is False
    assert outcome.cpu_seconds is not None
    assert outcome.cpu_seconds >= 0
    assert outcome.peak_memory_bytes is not None
    assert outcome.peak_memory_bytes > 1_000_000


def test_a_sync_function_runs_in_the_calling_thread_and_an_async_one_on_one_loop(
    executor: Executor,
) -> None:
    seen: list[Any] = []

    @task
    def sync() -> None:
        seen.append(threading.current_thread())

    @task
    async def later() -> str:
        seen.append((threading.current_thread(), asyncio.get_running_loop()))
        await asyncio.sleep(0)
        return ctx.task.id

    executor.execute(claimed("sync"))
    outcomes = [executor.execute(claimed("later")) for _ in range(2)]
    assert seen[0] is threading.current_thread()
    assert seen[1] == seen[2]
    assert seen[1][0] is not threading.current_thread()
    assert {outcome.output for outcome in outcomes} == {'"later"'}


def test_the_payload_arrives_as_its_declared_type(executor: Executor) -> None:
    @task
    def typed(payload: Order) -> int:
        return payload.id

    assert executor.execute(claimed("typed", '{"id": 5}')).output == "5"


@pytest.mark.parametrize("payload", ['{"id": "x"}', "null"])
def test_a_bad_payload_fails_at_once(executor: Executor, payload: str) -> None:
    @task
    def typed(payload: Order) -> None: ...

    outcome = executor.execute(claimed("typed", payload))
    assert outcome.status is Status.FAILED
    assert _error(outcome)["name"] == "PayloadValidationError"
    assert _error(outcome)["traceback"] is None


@pytest.mark.parametrize(
    ("value", "name"),
    [({1}, "OutputNotJsonError"), ("x" * 10_500_000, "OutputTooLargeError")],
)
def test_a_bad_output_fails_at_once(executor: Executor, value: Any, name: str) -> None:
    @task
    def returns() -> Any:
        return value

    outcome = executor.execute(claimed("returns"))
    assert (outcome.status, _error(outcome)["name"]) == (Status.FAILED, name)


def test_an_output_that_does_not_fit_its_model_fails_at_once(executor: Executor) -> None:
    @task
    def returns() -> Order:
        return {"id": "x"}  # type: ignore[return-value]

    outcome = executor.execute(claimed("returns"))
    assert (outcome.status, _error(outcome)["name"]) == (Status.FAILED, "OutputValidationError")


def test_a_bad_payload_for_another_task_is_an_error_like_any_other(
    executor: Executor, engine: RecordingEngine
) -> None:
    @task
    def child(payload: Order) -> None: ...

    @task
    def parent() -> None:
        child.trigger({"id": "x"})

    assert executor.execute(claimed("parent")).status is Status.QUEUED


def _raises(error: BaseException) -> Any:
    @task(id="raises")
    def raises() -> None:
        raise error


@pytest.mark.parametrize(
    "error", [ValueError("no"), MemoryError(), SystemExit(3), ExceptionGroup("g", [OSError()])]
)
def test_an_exception_is_tried_again_after_the_policys_delay(
    executor: Executor, error: BaseException
) -> None:
    _raises(error)
    outcomes = [executor.execute(claimed("raises", attempt_number=number)) for number in (1, 2, 3)]
    assert [outcome.status for outcome in outcomes] == [Status.QUEUED, Status.QUEUED, Status.FAILED]
    assert [outcome.retry_after_seconds for outcome in outcomes] == [2.0, 4.0, None]
    assert _error(outcomes[2])["name"] == type(error).__name__


def test_a_tasks_own_policy_wins_over_that_of_the_configuration(executor: Executor) -> None:
    @task(retry=Retry(min_timeout="9s", max_timeout="1m", randomize=False))
    def raises() -> None:
        raise ValueError

    assert executor.execute(claimed("raises")).retry_after_seconds == 9.0


def test_no_run_is_attempted_more_often_than_the_cap(executor: Executor) -> None:
    _raises(ValueError())
    outcome = executor.execute(claimed("raises", attempt_number=250, max_attempts=1000))
    assert outcome.status is Status.FAILED


@pytest.mark.parametrize(
    ("environment", "status"), [("dev", Status.FAILED), ("prod", Status.QUEUED)]
)
def test_retries_can_be_off_in_development(
    lines: list[LogEntry], environment: str, status: Status
) -> None:
    _raises(ValueError())
    executor = Executor(Configuration(retries_enabled_in_dev=False), lines.append)
    assert executor.execute(claimed("raises", environment=environment)).status is status


def test_an_abort_fails_at_once(executor: Executor) -> None:
    _raises(AbortTaskRunError("no such user"))
    outcome = executor.execute(claimed("raises"))
    assert outcome.status is Status.FAILED
    assert (_error(outcome)["name"], _error(outcome)["message"]) == (
        "AbortTaskRunError",
        "no such user",
    )


def test_a_traceback_begins_with_the_users_frame_and_keeps_causes(executor: Executor) -> None:
    @task
    def outer() -> None:
        try:
            json.loads("{")
        except ValueError as error:
            raise RuntimeError("x\0\ud800") from error

    error = _error(executor.execute(claimed("outer")))
    assert error["message"] == "x\ufffd\ufffd"
    shown = error["traceback"].split("The above exception was the direct cause")[1]
    assert "in outer" in shown.split("\n")[3]
    assert "jobs_platform" not in error["traceback"]
    assert "JSONDecodeError" in error["traceback"]


def test_a_long_error_is_bounded(executor: Executor) -> None:
    _raises(ValueError("x" * 1_000_000))
    outcome = executor.execute(claimed("raises"))
    assert outcome.error is not None
    assert len(outcome.error) < 100_000


class _RudeError(Exception):
    def __str__(self) -> str:
        raise KeyError


def test_an_exception_whose_text_raises_is_reported_all_the_same(executor: Executor) -> None:
    _raises(_RudeError())
    assert "KeyError" in _error(executor.execute(claimed("raises")))["message"]


def test_deep_recursion_is_a_failure_like_any_other(executor: Executor) -> None:
    @task
    def deep() -> None:
        deep.function()

    error = _error(executor.execute(claimed("deep")))
    assert error["name"] == "RecursionError"
    assert len(error["traceback"]) < 64 * 1024


class _ShutdownError(SystemExit):
    pass


@pytest.mark.parametrize("error", [KeyboardInterrupt(), _ShutdownError()])
def test_what_is_meant_for_the_worker_gets_out(executor: Executor, error: BaseException) -> None:
    _raises(error)
    with pytest.raises(type(error)):
        executor.execute(claimed("raises"))
    assert current_run.get() is None


def test_an_unknown_task_is_not_an_outcome(executor: Executor) -> None:
    with pytest.raises(UnknownTaskError):
        executor.execute(claimed("nope"))


@pytest.fixture
def cancelled() -> threading.Event:
    """The flag of a run that was cancelled."""
    flag = threading.Event()
    flag.set()
    return flag


def test_a_cancelled_run_says_so(executor: Executor, cancelled: threading.Event) -> None:
    _raises(RunCancelled())
    outcome = executor.execute(claimed("raises"), cancelled=cancelled)
    assert (outcome.status, outcome.error) == (Status.CANCELED, None)


def test_a_cancellation_that_nobody_asked_for_is_a_failure(executor: Executor) -> None:
    _raises(RunCancelled())
    outcome = executor.execute(claimed("raises"))
    assert (outcome.status, _error(outcome)["name"]) == (Status.QUEUED, "RunCancelled")


def test_a_cancellation_passes_through_except_exception_and_runs_cleanups(
    executor: Executor, cancelled: threading.Event
) -> None:
    seen: list[str] = []

    @task
    def stubborn() -> None:
        try:
            raise RunCancelled
        except Exception:  # noqa: BLE001 - what users write
            seen.append("swallowed")
        finally:
            seen.append("finally")

    assert executor.execute(claimed("stubborn"), cancelled=cancelled).status is Status.CANCELED
    assert seen == ["finally"]


def test_an_async_function_is_cancelled_on_its_loop_and_has_ended(executor: Executor) -> None:
    seen: list[str] = []
    cancelled = threading.Event()

    @task
    async def waits() -> None:
        cancelled.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("told")
            raise

    outcome = executor.execute(claimed("waits"), cancelled=cancelled)
    assert (outcome.status, seen) == (Status.CANCELED, ["told"])


def test_an_async_function_that_cancels_itself_has_failed(executor: Executor) -> None:
    @task
    async def gives_up() -> None:
        raise asyncio.CancelledError

    outcome = executor.execute(claimed("gives-up"))
    assert (outcome.status, _error(outcome)["name"]) == (Status.QUEUED, "CancelledError")


def test_a_timeout_of_the_users_own_is_no_cancellation(executor: Executor) -> None:
    @task
    async def slow() -> None:
        async with asyncio.timeout(0):
            await asyncio.Event().wait()

    assert _error(executor.execute(claimed("slow")))["name"] == "TimeoutError"


def test_sys_exit_in_an_async_function_leaves_the_loop_to_the_others(executor: Executor) -> None:
    @task
    async def leaves() -> None:
        raise SystemExit(3)

    @task
    async def stays() -> str:
        return "here"

    assert _error(executor.execute(claimed("leaves")))["name"] == "SystemExit"
    assert executor.execute(claimed("stays")).output == '"here"'


def test_an_interrupt_stops_the_attempt_it_was_meant_for(executor: Executor) -> None:
    interrupt = Interrupt()
    run = claimed("asks")

    @task
    def asks() -> Any:
        told = [interrupt.request(run.id, token) for token in (6, 7)]
        for _ in range(100):
            pass
        return told

    assert executor.execute(run, interrupt=interrupt).status is Status.CANCELED
    again = replace(run, fencing_token=9)
    assert interrupt.request(run.id, run.fencing_token) is False
    assert executor.execute(again, interrupt=interrupt).output == "[false,false]"


def test_the_context_tells_what_the_claim_says(executor: Executor) -> None:
    parent, root, batch = new_uuid(), new_uuid(), new_uuid()
    run = claimed(
        "look",
        attempt_number=2,
        tags=("a",),
        metadata={"step": 1},
        priority_seconds=3.0,
        worker_queue="micro",
        task_version="4",
        parent_id=parent,
        root_id=root,
        batch_id=batch,
        replay_of_id=root,
        schedule_id="sched_1",
        is_test=True,
    )

    @task(max_duration="5m")
    def look(ctx: Context) -> Any:
        return {
            "run": [ctx.run.id, ctx.run.tags, ctx.run.is_test, ctx.run.is_replay],
            "family": [ctx.run.parent_id, ctx.run.root_id, ctx.batch.id if ctx.batch else None],
            "limits": [ctx.run.priority, ctx.run.max_attempts, ctx.run.max_duration],
            "attempt": [ctx.attempt.id, ctx.attempt.number, ctx.attempt.started_at == NOON],
            "task": [ctx.task.id, ctx.task.file.endswith("test_executor.py")],
            "place": [ctx.queue.name, ctx.environment.slug, ctx.machine.name, ctx.version],
            "schedule": ctx.schedule.id if ctx.schedule else None,
            "metadata": dict(ctx.metadata),
            "cancelled": ctx.cancelled.is_set(),
        }

    output = executor.execute(run).output
    assert output is not None
    public = encode("run", run.id)
    assert json.loads(output) == {
        "run": [public, ["a"], True, True],
        "family": [encode("run", parent), encode("run", root), encode("batch", batch)],
        "limits": [3.0, 3, 300.0],
        "attempt": [f"{public}.2", 2, True],
        "task": ["look", True],
        "place": ["task/look", "prod", "micro", "4"],
        "schedule": "sched_1",
        "metadata": {"step": 1},
        "cancelled": False,
    }


def test_lines_of_the_logger_carry_run_attempt_level_and_fields(
    executor: Executor, lines: list[LogEntry]
) -> None:
    @task
    def talks() -> None:
        logger.debug("below the level")
        logger.info("hello", {"a": 1}, b=(2,))
        with logger.trace("charge", card="x"):
            logger.warn("inside")
        with pytest.raises(ValueError, match="no"), logger.trace("refund"):
            raise ValueError("no")

    run = claimed("talks")
    executor.execute(run)
    shown = [(line.level, line.message) for line in lines]
    assert shown == [
        ("info", "hello"),
        ("info", "charge started"),
        ("warn", "inside"),
        ("info", "charge finished"),
        ("info", "refund started"),
        ("error", "refund failed"),
    ]
    assert lines[0].fields == '{"a":1,"b":[2]}'
    assert {(line.run_id, line.attempt_number, line.source) for line in lines} == {
        (run.id, 1, "logger")
    }
    end = json.loads(lines[3].fields or "")
    assert (end["trace"], end["card"], end["ok"]) == ("charge", "x", True)
    assert end["duration_ms"] >= 0


def test_a_run_that_logs_without_end_is_cut_off_and_says_so() -> None:
    kept: list[LogEntry] = []
    executor = Executor(Configuration(log_lines_per_run=3), kept.append)

    @task
    def chatters() -> None:
        for number in range(1000):
            logger.info(f"line {number}")

    executor.execute(claimed("chatters"))
    assert [line.message for line in kept[:3]] == ["line 0", "line 1", "line 2"]
    assert kept[3:] == [kept[-1]]
    assert kept[-1].message.startswith("997 more lines were dropped")


def test_nothing_of_a_run_is_left_for_the_next(executor: Executor) -> None:
    @task
    def leaves() -> Any:
        before = locals.get("mine")
        locals.set("mine", 1)
        return before

    outputs = {executor.execute(claimed("leaves")).output for _ in range(2)}
    assert outputs == {"null"}
    assert current_run.get() is None


def test_tags_are_added_once_and_a_bad_one_is_only_logged(
    executor: Executor, engine: RecordingEngine, lines: list[LogEntry]
) -> None:
    @task
    def tagged() -> None:
        tags.add("a", "b")
        tags.add(["b", "c"])
        tags.add("")
        tags.add([f"t{number}" for number in range(9)])

    run = claimed("tagged", tags=("a",))
    executor.execute(run)
    assert engine.calls == [("add_tags", run.id, ("b",)), ("add_tags", run.id, ("c",))]
    assert [line.level for line in lines] == ["error", "error"]


def test_children_belong_to_the_run_that_triggers_them(
    executor: Executor, engine: RecordingEngine
) -> None:
    @task
    def child() -> None: ...

    @task
    async def parent() -> None:
        await child.atrigger()

    run = claimed("parent")
    executor.execute(run)
    request = engine.requests[0]
    assert (request.parent_id, request.root_id) == (run.id, run.id)
    assert engine.environments == ["prod"]


def test_usage_measures_the_attempt(executor: Executor) -> None:
    @task
    def works() -> Any:
        return usage.current().cpu_seconds < 5, usage.current().attempt_number

    assert executor.execute(claimed("works", attempt_number=2)).output == "[true,2]"
