"""Give a delayed run another time."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from jobs_platform.domain.errors import RunNotDelayedError
from jobs_platform.domain.ids import encode
from jobs_platform.engine import caller, ledger
from jobs_platform.engine.read import status_of


def reschedule(run_id: UUID, *, delay_seconds: float | None, delay_until: datetime | None) -> None:
    """DELAYED → DELAYED at another time; one that is past means now. `RunNotDelayedError`."""
    params = {"run_id": run_id, "delay": delay_seconds, "delay_until": delay_until}
    if not ledger.reschedule(caller.execute, params):
        status, _ = status_of(run_id)
        raise RunNotDelayedError(id=encode("run", run_id), status=status)
