"""Delete final runs that are older than their retention, in bounded batches."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from jobs_platform.engine.line import Line


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many rows went."""

    runs: int
    batches: int


def prune(line: Line, *, environment_id: int, older_than: timedelta, limit: int = 1_000) -> Pruned:
    """Delete up to `limit` final runs that ended before `now - older_than`, with all they left.

    One transaction; call again while it deletes `limit` runs. Empty batches and workers that
    stopped before that instant go in the same call.
    """
    params = {
        "environment_id": environment_id,
        "older_than_seconds": older_than.total_seconds(),
        "limit": limit,
    }
    with line.transaction():
        runs = line.execute("prune_runs", params)[0][0]
        batches = line.execute("prune_batches", params)[0][0]
    return Pruned(runs=runs, batches=batches)
