"""Times to live that have passed: the runs end without having started. Imports no Django."""

from __future__ import annotations

import json
from dataclasses import dataclass

from jobs_platform.engine import ledger
from jobs_platform.engine.line import Line

RUNS_PER_TRANSACTION = 1_000
ERROR = json.dumps(
    {
        "name": "Expired",
        "message": "The run was not started within its time to live (ttl).",
        "traceback": None,
    }
)


@dataclass(frozen=True, slots=True)
class Expired:
    """What one call has ended."""

    count: int
    hooked: dict[str, int]
    """Hook calls that anybody may make now, by worker queue."""
    freed: dict[str, list[str]]
    """Queues, and keys, that got slots back: others are to be admitted."""


def expire_due(line: Line, *, environment_id: int, limit: int = RUNS_PER_TRANSACTION) -> Expired:
    """QUEUED → EXPIRED where the time to live has passed; key and slots are free.

    At most `limit`, the oldest first; runs that somebody holds are left to the next call.
    """
    params = {"environment_id": environment_id, "limit": limit, "error": ERROR}
    count, hooked, freed = ledger.expire_due(line.execute, params)
    return Expired(count, hooked or {}, freed or {})
