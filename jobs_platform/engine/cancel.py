"""Cancel a run and its descendants; tell the workers that hold live attempts."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from uuid import UUID

from jobs_platform.domain.errors import RunNotFoundError
from jobs_platform.domain.ids import encode
from jobs_platform.domain.payloads import make_storable
from jobs_platform.engine import caller, ledger
from jobs_platform.engine.channels import CANCEL_CHANNEL
from jobs_platform.engine.handoff import Outcome
from jobs_platform.engine.line import Line


def cancel(run_id: UUID, *, reason: str | None = None) -> bool:
    """CANCELED at once, with all descendants that are not final; False when the run was final.

    Live attempts are told after the commit; each has its grace before it is stopped hard.
    """
    with caller.own_transaction():
        family = [row[0] for row in caller.execute("lock_family", {"run_id": run_id})]
        if run_id not in family:
            raise RunNotFoundError(id=encode("run", run_id))
        message = make_storable(reason or "The run was cancelled.")
        data = json.dumps({"reason": message, "asked_for": encode("run", run_id)})
        cancelled = ledger.cancel(caller.execute, run_ids=family, message=message, event_data=data)
        for cancelled_id, token, worker_id, _ in cancelled:
            if worker_id is not None:
                payload = f"{cancelled_id}:{token}"
                caller.execute("notify", {"channel": CANCEL_CHANNEL, "payload": payload})
        caller.ring_after_commit(Counter(row[3] for row in cancelled if row[2] is None))
    return any(row[0] == run_id for row in cancelled)


def stop_attempts(line: Line, outcomes: Sequence[Outcome]) -> frozenset[UUID]:
    """Record the end of attempts whose run was cancelled under them; returns which these were."""
    params = {
        "run_ids": [outcome.run_id for outcome in outcomes],
        "tokens": [outcome.fencing_token for outcome in outcomes],
        "cpu_seconds": [outcome.cpu_seconds for outcome in outcomes],
        "peak_memory_bytes": [outcome.peak_memory_bytes for outcome in outcomes],
    }
    return frozenset(row[0] for row in line.execute("stop_attempts", params))
