"""Claimed runs for tests of the runtime."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from jobs_platform.domain.ids import new_uuid
from jobs_platform.engine.handoff import ClaimedRun

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def claimed(task_id: str, payload: str = "null", **facts: Any) -> ClaimedRun:
    """A run that this worker holds, on its first attempt of three."""
    defaults: dict[str, Any] = {
        "id": new_uuid(),
        "fencing_token": 7,
        "attempt_number": 1,
        "max_attempts": 3,
        "environment": "prod",
        "queue": f"task/{task_id}",
        "worker_queue": "default",
        "priority_seconds": 0.0,
        "tags": (),
        "metadata": {},
        "is_test": False,
        "task_version": None,
        "version": 2,
        "created_at": NOON,
        "started_at": NOON,
        "attempt_started_at": NOON,
        "parent_id": None,
        "root_id": None,
        "batch_id": None,
        "replay_of_id": None,
        "schedule_id": None,
    }
    return ClaimedRun(task_id=task_id, payload=payload, **{**defaults, **facts})
