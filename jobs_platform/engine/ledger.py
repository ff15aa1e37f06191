"""The only code that writes a status.

Each function runs one guarded statement: its WHERE holds the statuses that the lifecycle allows
and, for a worker's move, the attempt; it raises `version` and adds the event row in the same
transaction. A refused write is not an error here: the statement says which rows it changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from jobs_platform.domain.lifecycle import MOVES, Status
from jobs_platform.engine import slots
from jobs_platform.engine.channels import DUE_CHANNEL
from jobs_platform.engine.handoff import Outcome
from jobs_platform.engine.line import Line
from jobs_platform.engine.slots import Freed

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


def accept_one(execute: Execute, params: Mapping[str, Any]) -> list[Row]:
    """Nothing → QUEUED, for the scalars of `trigger_one.sql`."""
    return execute("trigger_one", params)


def accept_batch(execute: Execute, params: Mapping[str, Any]) -> Row:
    """Nothing → QUEUED or DELAYED, for the items of `trigger_batch.sql`."""
    return execute("trigger_batch", {"due_channel": DUE_CHANNEL, **params})[0]


def debounce(execute: Execute, params: Mapping[str, Any]) -> list[Row]:
    """DELAYED → DELAYED, later, by the scalars of `debounce.sql`."""
    return execute("debounce", {"due_channel": DUE_CHANNEL, **params})


def reschedule(execute: Execute, params: Mapping[str, Any]) -> bool:
    """DELAYED → DELAYED at another time; False when the run is not DELAYED."""
    return bool(execute("reschedule", {"due_channel": DUE_CHANNEL, **params}))


def queue_due(execute: Execute, params: Mapping[str, Any]) -> Row:
    """DELAYED → QUEUED, for runs whose time has come."""
    return execute("queue_due", params)[0]


def expire_due(execute: Execute, params: Mapping[str, Any]) -> Row:
    """DELAYED or QUEUED → EXPIRED, for runs whose time to live has passed."""
    return execute("expire_due", params)[0]


def finish_and_claim(
    line: Line,
    params: Mapping[str, Any],
    *,
    before: Sequence[tuple[str, Mapping[str, Any]]] = (),
    ended: Sequence[tuple[UUID, int]] = (),
) -> tuple[list[Row], Freed]:
    """EXECUTING → final or QUEUED, and QUEUED → EXECUTING, for `finish_and_claim.sql`.

    In one transaction with the statements `before`; the slots of `ended` attempts are free with it.
    """
    if not before and not ended:
        return line.execute("finish_and_claim", params), {}
    after = [("free_slots", slots.free_params(ended))] if ended else []
    statements = [*before, ("finish_and_claim", params), *after]
    if line.in_transaction:
        answers = [line.execute(name, values) for name, values in statements]
    else:
        answers = line.pipeline(statements)
    freed = slots.freed_of(answers[-1]) if ended else {}
    return answers[len(before)], freed


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
    """The finishing half of `finish_and_claim.sql`, in the order in which rows are locked."""
    ordered = sorted(outcomes, key=lambda outcome: outcome.run_id)
    return {
        "outcomes": f"[{','.join(map(_outcome_json, ordered))}]",
        "hook_worker_id": hook_worker_id,
        "due_channel": DUE_CHANNEL,
    }


def _outcome_json(outcome: Outcome) -> str:
    """One outcome. Put together by hand: output and error are JSON text already."""
    move = _MOVE_OF_OUTCOME[outcome.status]
    parts = [
        f'{{"run_id":"{outcome.run_id.hex}","token":{outcome.fencing_token},"move":"{move}"',
        f'"status":"{MOVES[move].target}","attempt_status":"{_attempt_status(outcome)}"',
    ]
    if outcome.output is not None:
        parts.append(f'"output":{outcome.output}')
    if outcome.error is not None:
        parts.append(f'"error":{outcome.error}')
    if outcome.cpu_seconds is not None:
        parts.append(f'"cpu_seconds":{outcome.cpu_seconds!r}')
    if outcome.peak_memory_bytes is not None:
        parts.append(f'"peak_memory_bytes":{outcome.peak_memory_bytes}')
    if outcome.has_final_hooks:
        parts.append('"is_hooked":true')
    if outcome.status is Status.QUEUED:
        delay = outcome.retry_after_seconds or 0.0
        parts.append(f'"delay":{delay!r},"event_data":{{"delay_seconds":{delay:.3f}}}')
    return ",".join(parts) + "}"


def _attempt_status(outcome: Outcome) -> str:
    """A retried attempt failed, or crashed when its worker was lost."""
    if outcome.status is not Status.QUEUED:
        return outcome.status.value
    return (Status.CRASHED if outcome.is_lost else Status.FAILED).value
