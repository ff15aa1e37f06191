"""The end of attempts whose run was cancelled under them. Imports no Django: keepers use it too."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from jobs_platform.domain.ids import encode
from jobs_platform.engine import ledger
from jobs_platform.engine.channels import CANCEL_CHANNEL
from jobs_platform.engine.handoff import Outcome
from jobs_platform.engine.line import Line, Row
from jobs_platform.engine.slots import Freed, admit_freed, free_params, freed_of

_REASON = "The run that triggered it was cancelled."


def stop_attempts(line: Line, outcomes: Sequence[Outcome]) -> frozenset[UUID]:
    """Record the end of attempts whose run was cancelled meanwhile; returns which these were.

    What such an attempt has triggered since is cancelled too.
    """
    params = {
        "run_ids": [outcome.run_id for outcome in outcomes],
        "tokens": [outcome.fencing_token for outcome in outcomes],
        "cpu_seconds": [outcome.cpu_seconds for outcome in outcomes],
        "peak_memory_bytes": [outcome.peak_memory_bytes for outcome in outcomes],
    }
    stopped, freed = _stop(line, params, releases_hooks=False)
    admit_freed(line, freed)
    return stopped


def abandon_attempts(line: Line, attempts: Sequence[tuple[UUID, int]]) -> frozenset[UUID]:
    """The same for (run, token) that nobody executes any more: any worker may call the hooks.

    It may be part of a larger transaction, so the clock gives the freed slots away.
    """
    params = {
        "run_ids": [run_id for run_id, _ in attempts],
        "tokens": [token for _, token in attempts],
        "cpu_seconds": [None] * len(attempts),
        "peak_memory_bytes": [None] * len(attempts),
    }
    return _stop(line, params, releases_hooks=True)[0]


def notify_attempts(execute: ledger.Execute, cancelled: Sequence[Row]) -> None:
    """Tell the workers that hold live attempts of runs just cancelled, for rows of `cancel.sql`."""
    for run_id, token, worker_id, _ in cancelled:
        if worker_id is not None:
            params = {"channel": CANCEL_CHANNEL, "payload": f"{run_id}:{token}"}
            execute("notify", params)


def _stop(
    line: Line, params: dict[str, Any], *, releases_hooks: bool
) -> tuple[frozenset[UUID], Freed]:
    tokens = dict(zip(params["run_ids"], params["tokens"], strict=True))

    def work() -> tuple[frozenset[UUID], Freed]:
        with line.transaction():
            stopped = [row[0] for row in line.execute("stop_attempts", params)]
            for run_id in stopped:
                _cancel_descendants(line, run_id)
            if stopped and releases_hooks:
                line.execute("release_hook_calls", {"run_ids": stopped})
            ended = free_params([(run_id, tokens[run_id]) for run_id in stopped])
            freed = freed_of(line.execute("free_slots", ended)) if stopped else {}
        return frozenset(stopped), freed

    return line.without_deadlock(work)


def _cancel_descendants(line: Line, run_id: UUID) -> None:
    family = [row[0] for row in line.execute("lock_family", {"run_id": run_id})]
    data = json.dumps({"reason": _REASON, "asked_for": encode("run", run_id)})
    cancelled = ledger.cancel(line.execute, run_ids=family, message=_REASON, event_data=data)
    notify_attempts(line.execute, cancelled)
