"""A worker's registration and lease, and runs that it gives back."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from jobs_platform.engine import ledger
from jobs_platform.engine.hook_call import release_hook_calls_of_slot
from jobs_platform.engine.line import Line
from jobs_platform.engine.stop import abandon_attempts


def register_worker(
    line: Line,
    *,
    environment_id: int,
    name: str,
    worker_queues: Sequence[str],
    task_ids: Sequence[str] = (),
    pool: str,
    slots: int,
    lease_seconds: float,
) -> int:
    """A worker row whose lease runs from now; returns its id.

    Schedules fire while some live worker (a beat counts) has their task in its code.
    """
    params = {
        "environment_id": environment_id,
        "name": name,
        "worker_queues": list(worker_queues),
        "task_ids": list(task_ids),
        "pool": pool,
        "slots": slots,
        "lease_seconds": lease_seconds,
    }
    return int(line.execute("register_worker", params)[0][0])


def renew_lease(line: Line, worker_id: int, *, lease_seconds: float) -> bool:
    """False when the lease was lost already: the worker must stop what it executes."""
    return bool(
        line.execute("renew_lease", {"worker_id": worker_id, "lease_seconds": lease_seconds})
    )


def stop_worker(line: Line, worker_id: int) -> None:
    """End a lease; what the worker still holds is recovered from its claims."""
    line.execute("stop_worker", {"worker_id": worker_id})


def slots_of_worker(line: Line, worker_id: int) -> set[int]:
    """The slots of a worker that hold claims or owe hook calls."""
    return {row[0] for row in line.execute("slots_of_worker", {"worker_id": worker_id})}


def give_back(line: Line, attempts: Sequence[tuple[UUID, int]]) -> list[tuple[UUID, str]]:
    """EXECUTING → QUEUED at the place they had, no attempt used; (id, worker_queue) of each.

    One that was cancelled meanwhile ends here: nobody else will execute it and call its hooks.
    """
    if not attempts:
        return []
    given_back = [(row[0], row[1]) for row in ledger.give_back(line.execute, attempts=attempts)]
    refused = [attempt for attempt in attempts if attempt[0] not in dict(given_back)]
    if refused:
        abandon_attempts(line, refused)
    return given_back


def give_back_unknown(
    line: Line,
    worker_id: int,
    slot: int,
    *,
    known: Sequence[tuple[UUID, int]],
    known_hook_calls: Sequence[UUID] = (),
) -> int:
    """Give back what this slot claimed and never learnt of: a reply was lost.

    `known` are attempts, by run and token: of a run that it has finished for a retry the slot may
    have claimed the next attempt, too.
    """
    with line.transaction():
        release_hook_calls_of_slot(line, worker_id, slot, known=known_hook_calls)
        claims = line.execute("claims_of_slot", {"worker_id": worker_id, "slot": slot})
        held = {row[0]: list(zip(row[1], row[2], strict=True)) for row in claims}
        gone = [number for number, attempts in held.items() if not set(attempts) & set(known)]
        unknown = [pair for attempts in held.values() for pair in attempts if pair not in known]
        given_back = give_back(line, unknown)
        if gone:
            arrays = {
                "worker_ids": [worker_id] * len(gone),
                "slots": [slot] * len(gone),
                "numbers": gone,
            }
            line.execute("forget_claims", arrays)
    return len(given_back)


def give_back_behind(line: Line, worker_id: int, *, slot: int, number: int, started: int) -> int:
    """Give back the runs of a claim behind the first `started`, on behalf of their slot."""
    with line.transaction():
        claims = line.execute("claims_of_slot", {"worker_id": worker_id, "slot": slot})
        attempts = [
            pair
            for found, run_ids, tokens in claims
            if found == number
            for pair in list(zip(run_ids, tokens, strict=True))[started:]
        ]
        return len(give_back(line, attempts))
