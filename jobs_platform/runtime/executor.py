"""Claimed runs to outcomes, and the final hooks of runs that are over.

Owns what a worker process needs for both. Writes nothing to the database: what it returns is for
the slot to write. Nothing about a run is global to its process, only context variables.
"""

from __future__ import annotations

import json
from contextvars import copy_context
from threading import Event
from typing import Any
from uuid import UUID

from jobs_platform.domain.configuration import Configuration
from jobs_platform.domain.errors import PayloadError
from jobs_platform.domain.lifecycle import Status
from jobs_platform.engine.handoff import ClaimedRun, Outcome
from jobs_platform.runtime.attempt import Attempt
from jobs_platform.runtime.equipment import Equipment, final_hook
from jobs_platform.runtime.interrupt import Interrupt
from jobs_platform.runtime.run_log import Sink
from jobs_platform.runtime.stored_run import facts_of
from jobs_platform.sdk import ports
from jobs_platform.sdk.context import ClaimedFacts, current_run
from jobs_platform.sdk.hooks import WORKER_START, GlobalHooks
from jobs_platform.sdk.hooks import hooks as hooks_of_all
from jobs_platform.sdk.logger import SOURCE
from jobs_platform.sdk.registry import Registry
from jobs_platform.sdk.registry import registry as registry_of_process
from jobs_platform.sdk.task import Task
from jobs_platform.sdk.values import Run, RunError


class Executor:
    """Executes claimed runs; any number of threads may call it at once."""

    def __init__(
        self,
        configuration: Configuration,
        sink: Sink,
        *,
        registry: Registry = registry_of_process,
        hooks: GlobalHooks = hooks_of_all,
        limits_memory: bool = False,
    ) -> None:
        self._equipment = Equipment(configuration, sink, registry, hooks, limits_memory)

    def start(self) -> None:
        """Call the `on_worker_start` hooks: once in each process, before its first run."""
        for hook in self._equipment.hooks.of(WORKER_START):
            result = hook()
            if hasattr(result, "__await__"):
                self._equipment.loop.run(result)

    def stop(self) -> None:
        """End the event loop."""
        self._equipment.loop.stop()

    def execute(
        self, run: ClaimedRun, *, cancelled: Event | None = None, interrupt: Interrupt | None = None
    ) -> Outcome:
        """Execute one attempt; `UnknownTaskError` when no module here declares its task.

        CPU seconds are those of this thread, or of the whole process for async functions, which
        share a thread; peak memory is the process's.
        """
        task = self._equipment.registry.find(run.task_id)
        attempt = Attempt(self._equipment, run, task, cancelled=cancelled, interrupt=interrupt)
        return copy_context().run(attempt.outcome)

    def max_duration_seconds(self, run: ClaimedRun) -> float | None:
        """How long an attempt of this run may take; None without a limit."""
        return self._equipment.max_duration_seconds(run, self._equipment.registry.get(run.task_id))

    def memory_limit(self, run: ClaimedRun) -> int | None:
        """How many bytes an attempt of this run may use here; None without a limit."""
        equipment = self._equipment
        machine = equipment.configuration.machines.get(run.worker_queue)
        return machine.memory_bytes if machine and equipment.limits_memory else None

    def call_final_hooks(self, run: ClaimedRun, outcome: Outcome) -> None:
        """Call the final hooks of an attempt that was executed here, once its end is stored."""
        error = json.loads(outcome.error) if outcome.error else None
        copy_context().run(
            self._call_final_hooks,
            run,
            status=outcome.status,
            payload_text=run.payload,
            output=json.loads(outcome.output) if outcome.output else None,
            error=RunError(**error) if error else None,
        )

    def call_stored_final_hooks(self, run_id: UUID, *, interrupt: Interrupt | None = None) -> None:
        """Call the final hooks of a stored run, also of one that no worker has seen."""
        self.run_final_hooks(ports.engine().retrieve(run_id), interrupt=interrupt)

    def run_final_hooks(self, run: Run, *, interrupt: Interrupt | None = None) -> None:
        """Call the final hooks of a run as it is stored; `interrupt` ends `on_cancel` in time."""
        copy_context().run(
            self._call_final_hooks,
            facts_of(run),
            status=run.status,
            payload_text=json.dumps(run.payload),
            output=run.output,
            error=run.error,
            interrupt=interrupt,
        )

    def _call_final_hooks(
        self,
        facts: ClaimedFacts,
        *,
        status: Status,
        payload_text: str,
        output: Any,
        error: RunError | None,
        interrupt: Interrupt | None = None,
    ) -> None:
        equipment = self._equipment
        task = equipment.registry.get(facts.task_id)
        log = equipment.log(facts)
        active = equipment.active(facts, task, log=log)
        calls, context = equipment.calls(task, active), active.context
        payload = _payload(task, payload_text)
        token = current_run.set(active)
        try:
            name = final_hook(status)
            if name == "on_success":
                calls.call_safely(name, payload, output, context)
            elif name == "on_failure":
                shown = error or RunError(str(status), f"The run ended as {status}.")
                calls.call_safely(name, payload, shown, context)
            elif interrupt is not None:
                seconds = equipment.configuration.cancel_grace_seconds
                limit = interrupt.limited(facts.id, seconds)
                if not calls.call_within(limit, name, payload, context):
                    log.add("error", f"{name} was stopped after its {seconds:g} s.", None, SOURCE)
            else:
                calls.call_safely(name, payload, context)
            calls.call_safely("on_complete", payload, context)
        finally:
            current_run.reset(token)
            log.close()


def _payload(task: Task | None, text: str) -> Any:
    """The payload as the function got it; plain JSON where it does not fit, or nobody knows it."""
    if task is not None:
        try:
            return task.load_payload(text)
        except PayloadError:
            pass
    return json.loads(text)
