"""What all attempts of a process share, and the values that each attempt gets from it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from threading import Event

from jobs_platform.domain.configuration import Configuration
from jobs_platform.domain.lifecycle import Status
from jobs_platform.runtime.event_loop import LoopThread
from jobs_platform.runtime.hook_calls import HookCalls
from jobs_platform.runtime.run_log import AttemptLog, Sink
from jobs_platform.sdk.context import ActiveRun, ClaimedFacts
from jobs_platform.sdk.hooks import GlobalHooks
from jobs_platform.sdk.hooks import hooks as hooks_of_all
from jobs_platform.sdk.logger import RANKS, logger
from jobs_platform.sdk.registry import Registry
from jobs_platform.sdk.registry import registry as registry_of_process
from jobs_platform.sdk.task import Task

FINAL_HOOK = {Status.COMPLETED: "on_success", Status.CANCELED: "on_cancel"}
"""Every other end is `on_failure`; `on_complete` comes after each."""


def final_hook(status: Status) -> str:
    return FINAL_HOOK.get(status, "on_failure")


@dataclass(frozen=True, slots=True)
class Equipment:
    """Settings, registry, hooks, event loop and the sink of log entries."""

    configuration: Configuration
    sink: Sink
    registry: Registry = registry_of_process
    hooks: GlobalHooks = hooks_of_all
    limits_memory: bool = False
    """Each attempt has this process to itself (prefork): its machine's memory is enforced."""
    loop: LoopThread = field(default_factory=LoopThread)

    def log(self, facts: ClaimedFacts) -> AttemptLog:
        return AttemptLog(facts, self.sink, limit=self.configuration.log_lines_per_run)

    def max_duration_seconds(self, facts: ClaimedFacts, task: Task | None) -> float | None:
        """How long an attempt may take: what its run says, else its task, else the project."""
        own_limit = task.max_duration_seconds if task is not None else None
        return facts.max_duration_seconds or own_limit or self.configuration.max_duration_seconds

    def active(
        self,
        facts: ClaimedFacts,
        task: Task | None,
        *,
        log: AttemptLog,
        cancelled: Event | None = None,
    ) -> ActiveRun:
        """The run as the SDK's calls inside it see it."""
        is_async = task is not None and task.is_async
        return ActiveRun(
            facts,
            log=log,
            logger=logger,
            task_file=task.file if task is not None else "",
            cancelled=cancelled,
            log_level=RANKS[self.configuration.log_level],
            max_duration_seconds=self.max_duration_seconds(facts, task),
            machine=self.configuration.machines.get(facts.worker_queue),
            cpu_clock=time.process_time if is_async else time.thread_time,
        )

    def calls(self, task: Task | None, active: ActiveRun) -> HookCalls:
        return HookCalls(self.hooks, task, active, self.loop)

    def has_final_hooks(self, task: Task, status: Status) -> bool:
        """Whether a run of this task that ends so has hooks to be called."""
        if self.hooks.is_empty and task.is_empty:
            return False
        names = (final_hook(status), "on_complete")
        return self.hooks.has_any(names) or task.has_any(names)
