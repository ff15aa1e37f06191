"""What becomes of an attempt that has used up its maximum duration."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from jobs_platform import MaxDurationExceeded, RunCancelled, Status, ctx, task
from jobs_platform.domain.configuration import Configuration
from jobs_platform.engine.handoff import ClaimedRun, Outcome
from jobs_platform.runtime import event_loop
from jobs_platform.runtime.executor import Executor
from jobs_platform.runtime.interrupt import Interrupt
from tests.unit.runtime.claims import claimed

pytestmark = pytest.mark.usefixtures("fresh_process")

SHORT = 0.02
LONG = 5.0


class Watched:
    """An executor whose attempts are looked at as the watch does."""

    def __init__(self, configuration: Configuration) -> None:
        self.executor = Executor(configuration, lambda entry: None)
        self.interrupt = Interrupt()

    def execute(self, task_id: str, seconds: float | None = SHORT) -> Outcome:
        return self.execute_run(claimed(task_id, max_duration_seconds=seconds))

    def execute_run(self, run: ClaimedRun) -> Outcome:
        with self._looking():
            return self.executor.execute(run, interrupt=self.interrupt)

    @contextmanager
    def _looking(self) -> Iterator[None]:
        is_over = threading.Event()

        def look() -> None:
            while not is_over.wait(0.002):
                self.interrupt.stop_overdue()

        thread = threading.Thread(target=look)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()


@pytest.fixture
def watched() -> Iterator[Watched]:
    made = Watched(Configuration())
    yield made
    made.executor.stop()


def _error(outcome: Outcome) -> dict[str, Any]:
    assert outcome.error is not None
    found: dict[str, Any] = json.loads(outcome.error)
    return found


def _spin() -> None:
    """Goes on until it is stopped."""
    until = time.monotonic() + LONG
    while time.monotonic() < until:
        pass


def test_a_function_is_told_by_the_flag_and_then_by_the_exception(watched: Watched) -> None:
    seen: list[Any] = []

    def cleanup(payload: Any, context: Any) -> None:
        seen.append("cleanup")

    @task(cleanup=cleanup)
    def spins() -> None:
        try:
            _spin()
        except RunCancelled:
            seen.append("cancelled")
        except Exception:  # noqa: BLE001 - what users write
            seen.append("swallowed")
        except MaxDurationExceeded:
            seen.append(("told", ctx.cancelled.is_set()))
            raise
        finally:
            seen.append("finally")

    outcome = watched.execute("spins")
    assert seen == [("told", True), "finally", "cleanup"]
    assert (outcome.status, outcome.retry_after_seconds) == (Status.TIMED_OUT, None)
    error = _error(outcome)
    assert error["name"] == "MaxDurationExceeded"
    assert "0.02 s" in error["message"]
    assert "_spin" in error["traceback"]


def test_what_is_returned_after_the_limit_does_not_count(watched: Watched) -> None:
    @task
    def insists() -> str:
        with suppress(MaxDurationExceeded):
            _spin()
        return "a result"

    outcome = watched.execute("insists")
    assert (outcome.status, outcome.output) == (Status.TIMED_OUT, None)


def test_what_is_raised_after_the_limit_is_shown_as_its_cause(watched: Watched) -> None:
    asked: list[BaseException] = []

    def catch_error(error: BaseException, context: Any) -> None:
        asked.append(error)

    @task(catch_error=catch_error)
    def breaks() -> None:
        try:
            _spin()
        except MaxDurationExceeded:
            raise ValueError("half done") from None

    outcome = watched.execute("breaks")
    assert outcome.status is Status.TIMED_OUT
    assert "ValueError: half done" in _error(outcome)["traceback"]
    assert asked == []


def test_a_function_that_nobody_could_tell_has_timed_out_all_the_same() -> None:
    """It held the GIL, so nothing was raised; the clock decides."""
    watched = Watched(Configuration())

    @task
    def holds_the_gil() -> str:
        until = time.monotonic() + SHORT
        while time.monotonic() < until:
            pass
        return "done"

    run = claimed("holds-the-gil", max_duration_seconds=SHORT / 2)
    outcome = watched.executor.execute(run, interrupt=watched.interrupt)
    assert (outcome.status, outcome.output) == (Status.TIMED_OUT, None)


def test_a_function_in_time_is_left_alone(watched: Watched) -> None:
    @task
    def quick() -> bool:
        return ctx.cancelled.is_set()

    outcome = watched.execute("quick", LONG)
    assert (outcome.status, outcome.output) == (Status.COMPLETED, "false")


def test_an_interrupt_of_its_own_making_is_an_error_like_any_other(watched: Watched) -> None:
    @task
    def raises() -> None:
        raise MaxDurationExceeded

    assert watched.execute("raises", LONG).status is Status.QUEUED


def test_a_cancellation_wins_over_the_clock(watched: Watched) -> None:
    run = claimed("cleans-up-for-ever", max_duration_seconds=SHORT)

    @task
    def cleans_up_for_ever() -> None:
        try:
            _spin()
        except MaxDurationExceeded:
            threading.Thread(
                target=watched.interrupt.request, args=(run.id, run.fencing_token)
            ).start()
            _spin()

    assert watched.execute_run(run).status is Status.CANCELED


def test_the_clock_of_one_attempt_does_not_stop_the_next(watched: Watched) -> None:
    @task
    def spins() -> None:
        _spin()

    @task
    def quick() -> None:
        pass

    assert watched.execute("spins").status is Status.TIMED_OUT
    assert watched.execute("quick", None).status is Status.COMPLETED
    assert not watched.interrupt.stop_overdue()


def test_an_async_function_sees_why_it_is_cancelled(watched: Watched) -> None:
    seen: list[bool] = []

    @task
    async def waits() -> None:
        try:
            await asyncio.Event().wait()
        except MaxDurationExceeded as error:
            seen.append(isinstance(error, asyncio.CancelledError))
            raise

    outcome = watched.execute("waits")
    assert (outcome.status, seen) == (Status.TIMED_OUT, [True])
    assert _error(outcome)["name"] == "MaxDurationExceeded"


def test_tasks_of_an_async_function_end_with_it(watched: Watched) -> None:
    seen: list[str] = []

    async def child() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("child")
            raise

    @task
    async def spawns() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(child())
            group.create_task(child())

    assert watched.execute("spawns").status is Status.TIMED_OUT
    assert seen == ["child", "child"]


def test_async_cleanups_are_not_cut_short(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_loop, "LOOK_SECONDS", 0.001)
    seen: list[str] = []

    async def cleanup(payload: Any, context: Any) -> None:
        await asyncio.sleep(0.02)
        seen.append("cleanup")

    @task(cleanup=cleanup)
    async def waits() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.02)
            seen.append("finally")

    assert watched.execute("waits").status is Status.TIMED_OUT
    assert seen == ["finally", "cleanup"]


def test_an_async_function_that_goes_on_is_waited_for_and_told_of_a_cancellation(
    watched: Watched,
) -> None:
    run = claimed("stubborn", max_duration_seconds=SHORT)
    seen: list[str] = []

    @task
    async def stubborn() -> None:
        for _ in range(2):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError as error:
                seen.append(type(error).__name__)
                await asyncio.sleep(0.02)
                watched.interrupt.request(run.id, run.fencing_token)

    assert watched.execute_run(run).status is Status.CANCELED
    assert seen == ["MaxDurationExceeded", "CancelledError"]


def test_the_run_goes_before_its_task_and_that_before_the_project(fresh_process: None) -> None:
    @task(max_duration="2m")
    def limited() -> None: ...

    @task
    def unlimited() -> None: ...

    executor = Executor(Configuration(max_duration_seconds=300.0), lambda entry: None)
    of_run = claimed("limited", max_duration_seconds=7.0)
    runs = [of_run, claimed("limited"), claimed("unlimited")]
    assert [executor.max_duration_seconds(run) for run in runs] == [7.0, 120.0, 300.0]
    assert Executor(Configuration(), lambda entry: None).max_duration_seconds(runs[2]) is None
