"""The only code that writes a status.

Each function runs one guarded statement: its WHERE holds the statuses that the lifecycle allows
and, for a worker's move, the attempt; it raises `version` and adds the event row in the same
transaction. A refused write is not an error here: the statement says which rows it changed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from jobs_platform.domain.lifecycle import MOVES, Status
from jobs_platform.engine.channels import DUE_CHANNEL
from jobs_platform.engine.handoff import Outcome

Row = tuple[Any, ...]
Execute = Callable[[str, Mapping[str, Any]], list[Row]]
"""Runs `sql/NAME.sql`: on the caller's connection or on a line."""

_MOVE_OF_OUTCOME = {
    Status.COMPLETED: "complete",
    Status.FAILED: "fail",
    Status.CRASHED: "crash",
    Status.TIMED_OUT: "time_out",
    Status.SYSTEM_FAILURE: "break_down",
    Status.QUEUED: "retry",
}


def accept_one(execute: Execute, params: Mapping[str, Any]) -> None:
    """Nothing → QUEUED, for the scalars of `trigger_one.sql`."""
    execute("trigger_one", params)


def accept_batch(execute: Execute, params: Mapping[str, Any]) -> None:
    """Nothing → QUEUED, for the items of `trigger_batch.sql`."""
    execute("trigger_batch", params)


def finish_and_claim(execute: Execute, params: Mapping[str, Any]) -> list[Row]:
    """EXECUTING → final or QUEUED, and QUEUED → EXECUTING, for `finish_and_claim.sql`."""
    return execute("finish_and_claim", params)


def give_back(execute: Execute, *, attempts: Sequence[tuple[UUID, int]]) -> list[Row]:
    """EXECUTING → QUEUED without using the attempt; returns (id, worker_queue) of each."""
    ordered = sorted(attempts)
    params = {
        "run_ids": [run_id for run_id, _ in ordered],
        "tokens": [token for _, token in ordered],
    }
    return execute("give_back", params)


def cancel(
    execute: Execute, *, run_ids: Sequence[UUID], message: str, event_data: str | None
) -> list[Row]:
    """Live → CANCELED, for locked runs; returns id, token, worker and worker queue of each."""
    params = {"run_ids": list(run_ids), "message": message, "event_data": event_data}
    return execute("cancel", params)


def outcome_params(outcomes: Sequence[Outcome], *, hook_worker_id: int | None) -> dict[str, Any]:
    """The arrays of `finish_and_claim.sql`, in the order in which rows are locked."""
    ordered = sorted(outcomes, key=lambda outcome: outcome.run_id)
    return {
        "run_ids": [outcome.run_id for outcome in ordered],
        "tokens": [outcome.fencing_token for outcome in ordered],
        "moves": [_MOVE_OF_OUTCOME[outcome.status] for outcome in ordered],
        "statuses": [MOVES[_MOVE_OF_OUTCOME[outcome.status]].target.value for outcome in ordered],
        "attempt_statuses": [_attempt_status(outcome) for outcome in ordered],
        "outputs": [outcome.output for outcome in ordered],
        "errors": [outcome.error for outcome in ordered],
        "delays": [outcome.retry_after_seconds or 0.0 for outcome in ordered],
        "cpu_seconds": [outcome.cpu_seconds for outcome in ordered],
        "peak_memory_bytes": [outcome.peak_memory_bytes for outcome in ordered],
        "are_hooked": [outcome.has_final_hooks for outcome in ordered],
        "event_data": [_event_data(outcome) for outcome in ordered],
        "hook_worker_id": hook_worker_id,
        "due_channel": DUE_CHANNEL,
    }


def _attempt_status(outcome: Outcome) -> str:
    """A retried attempt failed, or crashed when its worker was lost."""
    if outcome.status is not Status.QUEUED:
        return outcome.status.value
    return (Status.CRASHED if outcome.is_lost else Status.FAILED).value


def _event_data(outcome: Outcome) -> str | None:
    if outcome.status is not Status.QUEUED:
        return None
    return json.dumps({"delay_seconds": round(outcome.retry_after_seconds or 0.0, 3)})
