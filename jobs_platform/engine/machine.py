"""Move runs to another machine after they ran out of memory. Imports no Django: keepers use it."""

from __future__ import annotations

from collections.abc import Sequence

from jobs_platform.engine.handoff import Outcome
from jobs_platform.engine.line import Line


def move_to_machines(line: Line, outcomes: Sequence[Outcome]) -> None:
    """Let the retries that ask for another machine wait in its worker queue.

    Before they are written: should this process die in between, the attempt is lost and its retry
    is on the other machine all the same.
    """
    for outcome in sorted(outcomes, key=lambda outcome: outcome.run_id):
        if outcome.machine is not None:
            params = {
                "run_id": outcome.run_id,
                "token": outcome.fencing_token,
                "machine": outcome.machine,
            }
            line.execute("move_to_machine", params)
