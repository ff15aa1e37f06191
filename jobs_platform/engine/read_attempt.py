"""What a worker asks about the attempts that it holds."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from jobs_platform.engine.line import Line


def cancelled_attempts(line: Line, attempts: Sequence[tuple[UUID, int]]) -> list[tuple[UUID, int]]:
    """Those of these attempts that are not live any more."""
    params = {
        "run_ids": [run_id for run_id, _ in attempts],
        "tokens": [token for _, token in attempts],
    }
    return [(row[0], row[1]) for row in line.execute("cancelled_attempts", params)]


def cancelled_runs(line: Line, run_ids: Sequence[UUID]) -> list[UUID]:
    """Those of these runs that are cancelled."""
    return [row[0] for row in line.execute("cancelled_runs", {"run_ids": list(run_ids)})]
