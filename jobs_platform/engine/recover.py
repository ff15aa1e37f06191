"""Bring back what a lost worker, or one dead slot of a live one, was executing.

Any number of processes may recover at once: claims are locked with SKIP LOCKED, and every move
names the attempt that it ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from jobs_platform.domain.lifecycle import Status
from jobs_platform.engine import ledger
from jobs_platform.engine.claim import LONG_AGO
from jobs_platform.engine.death import DeadAttempt, Death, outcome_of
from jobs_platform.engine.handoff import Outcome
from jobs_platform.engine.hook_call import release_hook_calls_of_slot
from jobs_platform.engine.line import Line, Row
from jobs_platform.engine.machine import move_to_machines
from jobs_platform.engine.slots import Freed, admit_freed, merge
from jobs_platform.engine.stop import abandon_attempts

CLAIMS_PER_TRANSACTION = 100


@dataclass(slots=True)
class Recovered:
    """What was brought back."""

    retried: list[UUID] = field(default_factory=list)
    crashed: list[UUID] = field(default_factory=list)
    timed_out: list[UUID] = field(default_factory=list)
    given_back: list[UUID] = field(default_factory=list)
    freed: Freed = field(default_factory=dict)
    claims: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a dead slot had come in its claim `number`: it had started the first `started`."""

    number: int
    started: int


def recover_lost_workers(line: Line) -> Recovered:
    """Recover the claims of every worker whose lease ended or that stopped, in bounded batches."""
    line.execute("stop_lost_workers", {})
    total = Recovered()
    while _recover(line, total, worker_id=None) == CLAIMS_PER_TRANSACTION:
        pass
    return total


def recover_worker(line: Line, worker_id: int) -> Recovered:
    """Recover everything that a worker held. Its lease ends first, so it claims nothing more."""
    line.execute("stop_worker", {"worker_id": worker_id})
    total = Recovered()
    while _recover(line, total, worker_id=worker_id) == CLAIMS_PER_TRANSACTION:
        pass
    return total


def recover_slot(
    line: Line,
    worker_id: int,
    slot: int,
    *,
    progress: Progress | None = None,
    is_interrupted: bool = False,
    death: Death | None = None,
) -> Recovered:
    """Recover what a dead pool child held; only started runs have used an attempt.

    With `is_interrupted` the platform itself stopped the slot (shutdown): nothing has. The attempt
    that `death` names ends as its cause demands, every other one as lost.
    """

    def is_started(number: int, position: int) -> bool:
        if progress is None or number < progress.number:
            return not is_interrupted
        # A claim that it had not shown yet has not been begun.
        return not is_interrupted and number == progress.number and position < progress.started

    total = Recovered()
    _recover(line, total, worker_id=worker_id, slot=slot, is_started=is_started, death=death)
    release_hook_calls_of_slot(line, worker_id, slot)
    return total


def _recover(
    line: Line,
    total: Recovered,
    *,
    worker_id: int | None,
    slot: int | None = None,
    is_started: Callable[[int, int], bool] = lambda _number, _position: True,
    death: Death | None = None,
) -> int:
    """One transaction over a bounded number of claims; returns how many it took."""
    params = {"worker_id": worker_id, "slot": slot, "limit": CLAIMS_PER_TRANSACTION}

    def work() -> Recovered:
        with line.transaction():
            return _recover_claims(line, line.execute("lost_claims", params), is_started, death)

    recovered = line.without_deadlock(work)
    total.retried += recovered.retried
    total.crashed += recovered.crashed
    total.timed_out += recovered.timed_out
    total.given_back += recovered.given_back
    total.claims += recovered.claims
    admit_freed(line, recovered.freed)
    return recovered.claims


def _recover_claims(
    line: Line, claims: Sequence[Row], is_started: Callable[[int, int], bool], death: Death | None
) -> Recovered:
    """End the attempts of locked claims, all of them locked in one order, and forget the claims."""
    found = Recovered(claims=len(claims))
    if not claims:
        return found
    attempts = {
        (run_id, token): is_started(number, position)
        for _, _, number, run_ids, tokens in claims
        for position, (run_id, token) in enumerate(zip(run_ids, tokens, strict=True))
    }
    params = {
        "run_ids": [run_id for run_id, _ in attempts],
        "tokens": [token for _, token in attempts],
    }
    held = [DeadAttempt(*row) for row in line.execute("live_attempts", params)]
    _end_attempts(line, held, attempts, found, death)
    worker_ids, slots, numbers, *_ = (list(column) for column in zip(*claims, strict=True))
    line.execute("forget_claims", {"worker_ids": worker_ids, "slots": slots, "numbers": numbers})
    return found


def _end_attempts(
    line: Line,
    held: Sequence[DeadAttempt],
    attempts: Mapping[tuple[UUID, int], bool],
    found: Recovered,
    death: Death | None,
) -> None:
    outcomes: list[Outcome] = []
    unstarted: list[tuple[UUID, int]] = []
    cancelled: list[tuple[UUID, int]] = []
    for attempt in held:
        key = (attempt.run_id, attempt.token)
        if attempt.status == Status.CANCELED:
            cancelled.append(key)
        elif attempt.status != Status.EXECUTING:
            continue
        elif attempts[key]:
            outcomes.append(outcome_of(attempt, death))
        else:
            unstarted.append(key)
    if unstarted:
        ledger.give_back(line.execute, attempts=unstarted)
        found.given_back += [run_id for run_id, _ in unstarted]
    if outcomes:
        move_to_machines(line, outcomes)
        merge(found.freed, _finish(line, outcomes))
        ended = {Status.QUEUED: found.retried, Status.TIMED_OUT: found.timed_out}
        for outcome in outcomes:
            ended.get(outcome.status, found.crashed).append(outcome.run_id)
    if cancelled:
        abandon_attempts(line, cancelled)


def _finish(line: Line, outcomes: Sequence[Outcome]) -> Freed:
    params = ledger.outcome_params(outcomes, hook_worker_id=None) | {
        "worker_id": 0,
        "slot": 0,
        "environment_id": 0,
        "worker_queue": "",
        "limit": 0,
        "number": 0,
        "previous_number": 0,
        "low_water": LONG_AGO,
    }
    ended = [(outcome.run_id, outcome.fencing_token) for outcome in outcomes]
    return ledger.finish_and_claim(line, params, ended=ended)[1]
