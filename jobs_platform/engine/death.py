"""What becomes of an attempt whose process died under it. Imports no Django: keepers use it too."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from jobs_platform.domain.errors import MaxDurationExceeded
from jobs_platform.domain.lifecycle import Status
from jobs_platform.domain.machines import OUT_OF_MEMORY, out_of_memory_message
from jobs_platform.domain.retrying import RetryPolicy
from jobs_platform.engine.handoff import Outcome


@dataclass(frozen=True, slots=True)
class Death:
    """Why the process of a run's attempt died, where somebody knows."""

    run_id: UUID
    max_duration_seconds: float | None = None
    """It was stopped because the attempt went on beyond this."""
    is_out_of_memory: bool = False
    larger_machines: Mapping[str, str] = field(default_factory=dict)
    """Task id → where it is tried once more after it ran out of memory."""


@dataclass(frozen=True, slots=True)
class DeadAttempt:
    """An attempt, live as far as the database knows; a row of `live_attempts.sql`."""

    run_id: UUID
    token: int
    status: str
    attempt_number: int
    max_attempts: int
    task_id: str
    worker_queue: str


def outcome_of(attempt: DeadAttempt, death: Death | None) -> Outcome:
    """Timed out when it was stopped for that; crashed, and tried again while attempts remain."""
    if death is None or death.run_id != attempt.run_id:
        return _lost(attempt)
    if death.max_duration_seconds is not None:
        return _overdue(attempt, death.max_duration_seconds)
    return _out_of_memory(attempt, death) if death.is_out_of_memory else _lost(attempt)


def _lost(attempt: DeadAttempt) -> Outcome:
    message = "The process that executed this attempt died or lost its lease."
    return _crashed(attempt, "WorkerLost", message)


def _overdue(attempt: DeadAttempt, seconds: float) -> Outcome:
    error = MaxDurationExceeded(seconds)
    return Outcome(
        attempt.run_id,
        attempt.token,
        Status.TIMED_OUT,
        error=_error(type(error).__name__, str(error)),
        has_final_hooks=True,
    )


def _out_of_memory(attempt: DeadAttempt, death: Death) -> Outcome:
    """Once more on the machine that the task names; the end when it was there already."""
    larger = death.larger_machines.get(attempt.task_id)
    message = out_of_memory_message(attempt.worker_queue, None)
    is_last = larger == attempt.worker_queue
    return _crashed(attempt, OUT_OF_MEMORY, message, is_last=is_last, machine=larger)


def _crashed(
    attempt: DeadAttempt,
    name: str,
    message: str,
    *,
    is_last: bool = False,
    machine: str | None = None,
) -> Outcome:
    error = _error(name, message)
    if is_last or attempt.attempt_number >= attempt.max_attempts:
        return Outcome(
            attempt.run_id,
            attempt.token,
            Status.CRASHED,
            error=error,
            has_final_hooks=True,
            is_lost=True,
        )
    return Outcome(
        attempt.run_id,
        attempt.token,
        Status.QUEUED,
        error=error,
        retry_after_seconds=RetryPolicy().lost_attempt_delay_seconds(attempt.attempt_number),
        is_lost=True,
        machine=machine,
    )


def _error(name: str, message: str) -> str:
    return json.dumps({"name": name, "message": message, "traceback": None})
