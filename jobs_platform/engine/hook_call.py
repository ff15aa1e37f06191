"""Hook calls: the final hooks of runs, owed from the final move on until somebody has made them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

from jobs_platform.engine.handoff import Holder
from jobs_platform.engine.line import Line

MAX_TRIES = 3
"""A worker that dies while it makes a hook call leaves it to another, but not for ever."""


def claim_hook_calls(
    line: Line, holder: Holder, *, worker_queue: str, limit: int = 20
) -> list[UUID]:
    """Runs whose final hooks this worker is to call now."""
    params = {
        "worker_id": holder.worker_id,
        "slot": holder.slot,
        "environment_id": holder.environment_id,
        "worker_queue": worker_queue,
        "limit": limit,
        "max_tries": MAX_TRIES,
    }
    return [row[0] for row in line.execute("claim_hook_calls", params)]


def finish_hook_calls(line: Line, run_ids: Sequence[UUID]) -> None:
    """The hooks of these runs were called; they are not called again."""
    line.execute("finish_hook_calls", {"run_ids": list(run_ids)})


def release_hook_calls(line: Line, run_ids: Iterable[UUID]) -> None:
    """Any worker may make these calls: who was to make them does not."""
    line.execute("release_hook_calls", {"run_ids": list(run_ids)})


def release_hook_calls_of_slot(
    line: Line, worker_id: int, slot: int, *, known: Sequence[UUID] = ()
) -> None:
    """The same for all calls of a slot but those of `known` runs."""
    params = {"worker_id": worker_id, "slot": slot, "known": list(known)}
    line.execute("release_hook_calls_of_slot", params)
