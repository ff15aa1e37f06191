"""Triggers that push one DELAYED run back instead of making another."""

from __future__ import annotations

from typing import cast
from uuid import UUID

from jobs_platform.engine import caller, ledger
from jobs_platform.sdk.ports import TriggerRequest


def join_debounced(request: TriggerRequest, *, environment_id: int) -> UUID | None:
    """DELAYED → DELAYED, later; None when no run of the key is DELAYED, so that one is to be made.

    Waits for a transaction that has pushed the same run back and is still open.
    """
    debounce = request.debounce
    if debounce is None:
        return None
    params = {
        "environment_id": environment_id,
        "task_id": request.task_id,
        "debounce_key": debounce.key,
        "delay": debounce.delay_seconds,
        "longest": debounce.max_delay_seconds,
        "is_trailing": debounce.mode == "trailing",
        "payload": request.payload,
        "metadata": request.metadata or "{}",
        "tags": list(request.tags),
        "max_attempts": request.max_attempts,
        "max_duration": request.max_duration_seconds,
        "worker_queue": request.worker_queue,
    }
    rows = ledger.debounce(caller.execute, params)
    return cast(UUID, rows[0][0]) if rows else None
