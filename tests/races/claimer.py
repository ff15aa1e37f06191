"""One of several processes that claim from the same queue; see test_claimers.py.

Reads its orders as JSON from standard input and prints what it has claimed.
"""

from __future__ import annotations

import json
import sys

from jobs_platform.domain.lifecycle import Status
from jobs_platform.engine.claim import Want, finish_and_claim
from jobs_platform.engine.handoff import Holder, Outcome
from jobs_platform.engine.line import Line
from jobs_platform.engine.worker import give_back

ERROR = '{"name": "Again", "message": "", "traceback": null}'


def main() -> None:
    orders = json.loads(sys.stdin.readline())
    holder = Holder(orders["worker_id"], orders["slot"], orders["environment_id"], "dev")
    claimed: list[str] = []
    with Line(orders["conninfo"], application_name="claimer") as line:
        line.connection.execute("SELECT 1")
        print("ready", flush=True)
        sys.stdin.readline()
        claim_all(line, holder, orders["attempts"], claimed)
    print(json.dumps(claimed))


def claim_all(line: Line, holder: Holder, attempts: int, claimed: list[str]) -> None:
    """Claim, retry `attempts` times and complete, until nothing is left three times in a row."""
    number, idle, outcomes = 0, 0, []
    while idle < 3:
        number += 1
        limit = 1 + (number * 7 + holder.slot * 3) % 16
        want = Want("default", limit, number, number - 1)
        taken = finish_and_claim(line, holder, outcomes, want)
        assert taken.finished == {outcome.run_id for outcome in outcomes}
        idle = 0 if taken.runs or outcomes else idle + 1
        outcomes = []
        for position, run in enumerate(taken.runs):
            claimed.append(f"{run.id}:{run.fencing_token}")
            if position and (number + position) % 11 == 0:
                assert give_back(line, [(run.id, run.fencing_token)])
            elif run.attempt_number < attempts:
                again = {"error": ERROR, "retry_after_seconds": 0.0}
                outcomes.append(Outcome(run.id, run.fencing_token, Status.QUEUED, **again))
            else:
                done = Status.COMPLETED
                outcomes.append(Outcome(run.id, run.fencing_token, done, output="1"))


if __name__ == "__main__":
    main()
