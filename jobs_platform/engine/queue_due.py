"""Delays that are over: the runs line up in their queues. Imports no Django."""

from __future__ import annotations

from dataclasses import dataclass

from jobs_platform.engine import ledger
from jobs_platform.engine.line import Line

RUNS_PER_TRANSACTION = 5_000


@dataclass(frozen=True, slots=True)
class Queued:
    """What one call has moved on."""

    count: int
    claimable: dict[str, int]
    """Runs that can be claimed now, by worker queue."""
    waiting: dict[str, list[str]]
    """Queues, and keys, whose runs wait for a slot now: they are to be admitted."""


def queue_due(line: Line, *, environment_id: int, limit: int = RUNS_PER_TRANSACTION) -> Queued:
    """DELAYED → QUEUED where the time has come, and retries that need a slot begin to wait.

    At most `limit`, the oldest first; runs that somebody holds are left to the next call.
    """
    params = {"environment_id": environment_id, "limit": limit}
    moved, claimable, waiting = ledger.queue_due(line.execute, params)
    return Queued(moved, claimable or {}, waiting or {})
