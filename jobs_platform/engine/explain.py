"""Why a run does not execute just now: what the database says of it, put into words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from jobs_platform.domain.configuration import DEFAULT_WORKER_QUEUE
from jobs_platform.domain.errors import RunNotFoundError
from jobs_platform.domain.ids import encode
from jobs_platform.domain.lifecycle import FINAL, Status
from jobs_platform.engine import caller
from jobs_platform.sdk.explanation import Explanation, Reason

COUNTED = 10_000
"""How many runs before this one are counted."""
SHOWN_RUNS = 5


@dataclass(frozen=True, slots=True)
class _Facts:
    """One row of `explain_run.sql`."""

    environment_id: int
    environment: str
    status: str
    queue: str
    worker_queue: str
    key: str
    further_keys: list[str]
    is_claimable: bool
    is_waiting: bool
    run_at: datetime
    is_due: bool
    attempt_number: int
    max_attempts: int
    attempt_started_at: datetime | None
    finished_at: datetime | None
    worker: str | None
    is_expired: bool
    paused_at: datetime | None
    paused_by: str | None
    environment_paused_at: datetime | None
    environment_paused_by: str
    queue_limit: int | None
    key_limit: int
    slots_in_use: int
    rate_limit: int | None
    rate_window_seconds: float | None
    rate_used: int
    rate_free_at: datetime | None
    rate_weight: int
    has_worker: bool

    @property
    def keys(self) -> list[str]:
        return [self.key, *self.further_keys] if self.key else []


def explain(run_id: UUID) -> Explanation:
    """Everything that is in the way of a run at this moment, or what it does instead."""
    rows = caller.execute("explain_run", {"run_id": run_id})
    if not rows:
        raise RunNotFoundError(id=encode("run", run_id))
    facts = _Facts(*rows[0])
    status = Status(facts.status)
    before = _before(run_id) if status is Status.QUEUED else 0
    reasons = tuple(_reasons(facts, status, before))
    is_in_line = status is Status.QUEUED and facts.is_waiting
    return Explanation(
        run_id=encode("run", run_id),
        status=status,
        queue=facts.queue,
        reasons=reasons,
        position=before + 1 if is_in_line else None,
        is_position_capped=is_in_line and before >= COUNTED,
    )


def _reasons(facts: _Facts, status: Status, before: int) -> Iterator[Reason]:
    if status in FINAL:
        yield Reason("final", f"It ended as {status}, {_at(facts.finished_at)}.")
    elif status is Status.EXECUTING:
        where = f" on worker {facts.worker}" if facts.worker else ""
        attempt = f"Attempt {facts.attempt_number} of {facts.max_attempts}"
        yield Reason(
            "executing", f"{attempt} executes{where} since {_at(facts.attempt_started_at)}."
        )
    elif status is Status.WAITING:
        yield Reason("waiting", "It is suspended until what it waits for has come.")
    elif status is Status.DELAYED:
        text = f"Its delay lasts until {_at(facts.run_at)}."
        yield Reason("delay", text, until=facts.run_at)
        yield from _paused(facts)
    else:
        yield from _why_queued(facts, before)


def _why_queued(facts: _Facts, before: int) -> Iterator[Reason]:
    found = [*_paused(facts), *_not_due(facts)]
    if facts.is_waiting:
        found += [*_limits(facts)]
    if not facts.has_worker:
        found.append(_no_worker(facts))
    if facts.is_expired:
        found.append(Reason("expired", "Its time to live is over: the clock ends it."))
    yield from found
    if before:
        yield _others_first(facts, before)
    elif not found:
        who = "A slot is given to it" if facts.is_waiting else "A free worker takes it"
        yield Reason("next", f"Nothing is in its way. {who} within a second.")


def _paused(facts: _Facts) -> Iterator[Reason]:
    if facts.environment_paused_at:
        what = f"Environment {facts.environment} is paused"
        who = _since(facts.environment_paused_at, facts.environment_paused_by)
        yield Reason("environment_paused", f"{what} {who}. queues.resume_all() ends that.")
    if facts.paused_at:
        who = _since(facts.paused_at, facts.paused_by or "")
        resume = f"queues.resume({facts.queue!r}) ends that."
        yield Reason("queue_paused", f"Queue {facts.queue} is paused {who}. {resume}")


def _not_due(facts: _Facts) -> Iterator[Reason]:
    if facts.is_due:
        return
    at = _at(facts.run_at)
    if facts.attempt_number:
        tried = f"Attempt {facts.attempt_number} of {facts.max_attempts} failed"
        yield Reason("retry", f"{tried}; the next one is due at {at}.", until=facts.run_at)
    else:
        text = f"Its negative priority lets others pass until {at}."
        yield Reason("not_due", text, until=facts.run_at)


def _limits(facts: _Facts) -> Iterator[Reason]:
    if facts.queue_limit is not None and facts.slots_in_use >= facts.queue_limit:
        used = f"{facts.slots_in_use} of {facts.queue_limit} slots of queue {facts.queue}"
        yield Reason("queue_limit", f"{used} are in use.")
    yield from _busy_keys(facts)
    if facts.rate_limit is not None and facts.rate_used + facts.rate_weight > facts.rate_limit:
        whose = f"Queue {facts.queue} started {facts.rate_used} of {facts.rate_limit}"
        window = f"that may start in {facts.rate_window_seconds:g} seconds"
        when = f"; the next start is possible at {_at(facts.rate_free_at)}"
        text = f"{whose} {window}{when if facts.rate_free_at else ''}."
        yield Reason("rate_limit", text, until=facts.rate_free_at)


def _busy_keys(facts: _Facts) -> Iterator[Reason]:
    if not facts.keys:
        return
    params = {
        "environment_id": facts.environment_id,
        "queue": facts.queue,
        "keys": facts.keys,
        "shown": SHOWN_RUNS,
    }
    for key, holders, run_ids in caller.execute("key_holders", params):
        if holders >= facts.key_limit:
            runs = tuple(encode("run", run_id) for run_id in run_ids)
            more = f" and {holders - len(runs)} more" if holders > len(runs) else ""
            used = f"Key {key!r} has {holders} of {facts.key_limit} slots in use"
            yield Reason("key_limit", f"{used}, by {', '.join(runs)}{more}.", runs=runs)


def _no_worker(facts: _Facts) -> Reason:
    is_default = facts.worker_queue == DEFAULT_WORKER_QUEUE
    machine = "" if is_default else f" --machine {facts.worker_queue}"
    what = f"No live worker of environment {facts.environment} executes"
    runs = "runs without a machine" if is_default else f"runs of machine {facts.worker_queue}"
    return Reason("no_worker", f"{what} {runs}. Start one: manage.py worker{machine}")


def _others_first(facts: _Facts, before: int) -> Reason:
    count = f"{before:,} or more" if before >= COUNTED else f"{before:,}"
    runs = "run goes" if before == 1 else "runs go"
    if facts.is_waiting:
        line = f"with key {facts.key!r} in queue {facts.queue}" if facts.key else facts.queue
        place = line if facts.key else f"in queue {line}"
    else:
        place = f"on the workers of {facts.worker_queue}"
    return Reason("others_first", f"{count} {runs} before it {place}.")


def _before(run_id: UUID) -> int:
    rows: list[tuple[Any, ...]] = caller.execute(
        "runs_before", {"run_id": run_id, "limit": COUNTED}
    )
    return int(rows[0][0]) if rows else 0


def _since(at: datetime, by: str) -> str:
    return f"since {_at(at)}{f' (by {by})' if by else ''}"


def _at(at: datetime | None) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if at else "at an unknown time"
