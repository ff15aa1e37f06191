"""One attempt, step by step: load, validate, hooks, function, output, status."""

from __future__ import annotations

import asyncio
import resource
import sys
import threading
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from threading import Event
from typing import Any

from jobs_platform.domain.errors import (
    AbortTaskRunError,
    MaxDurationExceeded,
    OutputError,
    PayloadError,
    RunCancelled,
)
from jobs_platform.domain.lifecycle import Status
from jobs_platform.domain.machines import OUT_OF_MEMORY, out_of_memory_message
from jobs_platform.domain.retrying import RetryPolicy
from jobs_platform.engine.handoff import ClaimedRun, Outcome
from jobs_platform.runtime.equipment import Equipment
from jobs_platform.runtime.failure import Verdict, error_json, judge, may_retry
from jobs_platform.runtime.interrupt import STOPS, Interrupt
from jobs_platform.runtime.memory import limited
from jobs_platform.sdk.context import current_run
from jobs_platform.sdk.logger import SOURCE
from jobs_platform.sdk.task import Task

_RSS_UNIT = 1 if sys.platform == "darwin" else 1024
_NO_FRAME: AbstractContextManager[None] = nullcontext()


class _BeyondRetryError(Exception):
    """Carries a failure that another attempt would not mend."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__(str(cause))
        self.cause = cause


class Attempt:
    """An attempt on its way to its outcome."""

    __slots__ = ("_active", "_calls", "_equipment", "_interrupt", "_log", "_run", "_task")

    def __init__(
        self,
        equipment: Equipment,
        run: ClaimedRun,
        task: Task,
        *,
        cancelled: Event | None,
        interrupt: Interrupt | None,
    ) -> None:
        self._equipment = equipment
        self._run = run
        self._task = task
        self._interrupt = interrupt
        if interrupt is not None:
            limit = equipment.max_duration_seconds(run, task)
            cancelled = interrupt.begin(run.id, run.fencing_token, max_duration_seconds=limit)
        self._log = equipment.log(run)
        self._active = equipment.active(run, task, log=self._log, cancelled=cancelled)
        self._calls = equipment.calls(task, self._active)

    def outcome(self) -> Outcome:
        """Execute it. Nothing that the user's code raises gets out, but what ends the process."""
        token = current_run.set(self._active)
        try:
            output = self._perform()
            return self._outcome(Status.COMPLETED, output=output)
        except RunCancelled as error:
            if self._is_cancelled:
                return self._outcome(Status.CANCELED)
            return self._after(error)  # nobody has cancelled this run: an error like any other
        except _BeyondRetryError as failure:
            cause = failure.cause
            shown = error_json(cause, with_traceback=cause.__traceback__ is not None)
            return self._outcome(Status.FAILED, error=shown)
        except BaseException as error:
            if _ends_process(error):
                raise
            return self._after(error)
        finally:
            if self._interrupt is not None:
                self._interrupt.end()
            self._log.close()
            current_run.reset(token)

    def _perform(self) -> str:
        """JSON text of what the function returned."""
        task = self._task
        try:
            payload = task.load_payload(self._run.payload)
        except PayloadError as error:
            raise _BeyondRetryError(error.with_traceback(None)) from None
        with self._memory(), self._user_frame():
            if task.is_empty and self._equipment.hooks.is_empty:
                value = self._call(payload)
            else:
                value = self._calls.surround(payload, lambda: self._with_hooks(payload))
        if self._is_timed_out:
            raise MaxDurationExceeded  # whatever the function made of being told so
        try:
            return task.dump_output(value)
        except OutputError as error:
            raise _BeyondRetryError(error.with_traceback(None)) from None

    def _with_hooks(self, payload: Any) -> Any:
        calls, context = self._calls, self._active.context
        try:
            calls.init(payload)
            if self._run.attempt_number == 1:
                calls.call("on_start", payload, context)
            calls.call("on_start_attempt", payload, context)
            return self._call(payload)
        finally:
            calls.call_safely("cleanup", payload, context)

    def _call(self, payload: Any) -> Any:
        value = self._task.call(payload, self._active.context)
        return self._calls.settle(value) if hasattr(value, "__await__") else value

    def _after(self, error: BaseException) -> Outcome:
        """What becomes of an attempt that raised."""
        if self._is_timed_out:
            return self._timed_out(error)
        if isinstance(error, asyncio.CancelledError) and self._is_cancelled:
            return self._outcome(Status.CANCELED)
        if isinstance(error, MemoryError) and self._limits_memory and self._larger_machine:
            return self._out_of_memory(error, self._larger_machine)
        try:
            verdict = self._verdict(error)
        except (Exception, *STOPS) as broken:  # noqa: BLE001 - a user's hook may raise anything
            if self._is_timed_out:
                return self._timed_out(broken)
            if isinstance(broken, RunCancelled) and self._is_cancelled:
                return self._outcome(Status.CANCELED)
            message = f"catch_error raised while it looked at {type(error).__name__}: {error}"
            self._log.add("error", message, None, SOURCE)
            verdict = Verdict(Status.CRASHED, broken)
        if verdict.error is error and isinstance(error, MemoryError) and self._limits_memory:
            return self._crashed(error, verdict.retry_after_seconds)
        return self._outcome(
            verdict.status,
            error=error_json(verdict.error),
            retry_after_seconds=verdict.retry_after_seconds,
        )

    def _out_of_memory(self, error: MemoryError, larger: str) -> Outcome:
        """Once more on a larger machine; the run has crashed when it was there already."""
        configuration = self._equipment.configuration
        if self._run.worker_queue == larger or not may_retry(self._run, configuration):
            return self._crashed(error, None)
        delay = self._policy.delay_seconds(self._run.attempt_number)
        return self._crashed(error, delay, machine=larger)

    def _crashed(
        self, error: MemoryError, delay: float | None, *, machine: str | None = None
    ) -> Outcome:
        """The end of an attempt under the memory limit of its machine."""
        message = out_of_memory_message(self._run.worker_queue, self._active.machine)
        outcome = self._outcome(
            Status.CRASHED if delay is None else Status.QUEUED,
            error=error_json(error, name=OUT_OF_MEMORY, message=message),
            retry_after_seconds=delay,
        )
        return replace(outcome, is_lost=True, machine=machine)

    def _verdict(self, error: BaseException) -> Verdict:
        answer = None
        if not isinstance(error, AbortTaskRunError):
            with self._user_frame():
                answer = self._calls.catch_error(error)
        configuration = self._equipment.configuration
        return judge(
            self._run,
            error,
            answer,
            policy=self._policy,
            configuration=configuration,
        )

    def _timed_out(self, error: BaseException) -> Outcome:
        """The end of an attempt that took too long, however it left its function."""
        shown = MaxDurationExceeded(self._active.max_duration_seconds)
        if isinstance(error, (*STOPS, asyncio.CancelledError)):
            shown = shown.with_traceback(error.__traceback__)
        else:
            shown.__cause__ = error
        return self._outcome(Status.TIMED_OUT, error=error_json(shown))

    @property
    def _policy(self) -> RetryPolicy:
        return self._task.retry or self._equipment.configuration.retries

    @property
    def _larger_machine(self) -> str | None:
        return self._policy.out_of_memory_machine

    @property
    def _limits_memory(self) -> bool:
        return self._equipment.limits_memory and self._active.machine is not None

    def _memory(self) -> AbstractContextManager[None]:
        """Around the user's frame, so that nothing is raised while the limit changes."""
        machine = self._active.machine
        return limited(machine.memory_bytes) if machine and self._limits_memory else _NO_FRAME

    @property
    def _is_cancelled(self) -> bool:
        return self._active.cancelled.is_set() and not self._is_timed_out

    @property
    def _is_timed_out(self) -> bool:
        return self._interrupt is not None and self._interrupt.is_timed_out

    def _user_frame(self) -> AbstractContextManager[None]:
        """The code that a cancellation or the end of its time may interrupt."""
        return _NO_FRAME if self._interrupt is None else self._interrupt.user_frame()

    def _outcome(
        self,
        status: Status,
        *,
        output: str | None = None,
        error: str | None = None,
        retry_after_seconds: float | None = None,
    ) -> Outcome:
        active, is_retry = self._active, status is Status.QUEUED
        return Outcome(
            self._run.id,
            self._run.fencing_token,
            status,
            output=output,
            error=error,
            retry_after_seconds=retry_after_seconds,
            cpu_seconds=max(0.0, active.cpu_clock() - active.started_cpu),
            peak_memory_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT,
            has_final_hooks=not is_retry and self._equipment.has_final_hooks(self._task, status),
        )


def _ends_process(error: BaseException) -> bool:
    """Whether an exception is meant for the worker: Ctrl-C, or its way to shut down.

    Such are raised in the main thread only. `SystemExit` itself is a user's `sys.exit()`, which
    fails the attempt like any exception.
    """
    if threading.current_thread() is not threading.main_thread():
        return False
    if isinstance(error, KeyboardInterrupt):
        return True
    return isinstance(error, SystemExit) and type(error) is not SystemExit
