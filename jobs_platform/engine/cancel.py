"""Cancel a run and its descendants; tell the workers that hold live attempts."""

from __future__ import annotations

import json
from collections import Counter
from uuid import UUID

from jobs_platform.domain.errors import RunNotFoundError
from jobs_platform.domain.ids import encode
from jobs_platform.domain.payloads import make_storable
from jobs_platform.engine import caller, ledger
from jobs_platform.engine.admit import admit_after_commit
from jobs_platform.engine.slots import free_params, freed_of
from jobs_platform.engine.stop import notify_attempts


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
        notify_attempts(caller.execute, cancelled)
        idle = [(row[0], row[1]) for row in cancelled if row[2] is None]
        freed = freed_of(caller.execute("free_slots", free_params(idle)))
        for (environment_id, queue), keys in freed.items():
            admit_after_commit(environment_id, {queue: keys})
        caller.ring_after_commit(Counter(row[3] for row in cancelled if row[2] is None))
    return any(row[0] == run_id for row in cancelled)
