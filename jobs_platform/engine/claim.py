"""Finish what a slot has done and claim what it does next, in one statement."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg

from jobs_platform.domain.ids import encode
from jobs_platform.domain.lifecycle import Status
from jobs_platform.domain.payloads import make_storable
from jobs_platform.engine import ledger
from jobs_platform.engine.handoff import ClaimedRun, Holder, Outcome
from jobs_platform.engine.line import Line, Row
from jobs_platform.engine.log import UNSTORABLE, LogEntry, log_params, write_log_lines
from jobs_platform.engine.slots import Freed, merge

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Taken:
    """The answer of the database."""

    finished: frozenset[UUID]
    """Outcomes that were accepted. The others outlived their attempt and changed nothing."""
    runs: tuple[ClaimedRun, ...]
    """In the order in which they are to be executed."""
    low_water: datetime | None
    """The earliest `run_at` among the claimed; None when none was."""
    freed: Freed = field(default_factory=dict)
    """Queues, and keys of them, that have slots again."""
    broken: frozenset[UUID] = frozenset()
    """Finished, but as system failures, because their results could not be stored."""


@dataclass(frozen=True, slots=True)
class Want:
    """What to claim; `number` names the claim, `previous_number` the one that it replaces."""

    worker_queue: str = ""
    limit: int = 0
    number: int = 0
    previous_number: int = 0
    low_water: datetime = LONG_AGO


def finish_and_claim(
    line: Line,
    holder: Holder,
    outcomes: Sequence[Outcome],
    want: Want,
    *,
    log_entries: Sequence[LogEntry] = (),
    calls_hooks: bool = True,
    with_slots: Collection[UUID] = (),
) -> Taken:
    """Write outcomes, with the log lines that belong before them, and claim `want.limit` runs.

    Runs `with_slots` hold some, which their end frees in the same transaction.

    With `calls_hooks` the caller makes the hook calls that this records; else any worker may. An
    outcome that the database refuses to store is written singly, as a system failure, so that
    nobody pays for a neighbour.
    """
    ending = _Ending(calls_hooks, frozenset(with_slots), log_entries)
    try:
        return _write(line, holder, outcomes, want, ending)
    except UNSTORABLE:
        if log_entries:
            write_log_lines(line, log_entries, environment_id=holder.environment_id)
            return finish_and_claim(
                line, holder, outcomes, want, calls_hooks=calls_hooks, with_slots=with_slots
            )
        if not outcomes:
            raise
        written = _write_singly(line, holder, outcomes, ending)
        taken = _write(line, holder, (), want, ending)
        return replace(written, runs=taken.runs, low_water=taken.low_water)


@dataclass(frozen=True, slots=True)
class _Ending:
    """What goes with the outcomes."""

    calls_hooks: bool
    with_slots: frozenset[UUID]
    log_entries: Sequence[LogEntry] = ()


def _write(
    line: Line,
    holder: Holder,
    outcomes: Sequence[Outcome],
    want: Want,
    ending: _Ending,
) -> Taken:
    params = ledger.outcome_params(
        outcomes, hook_worker_id=holder.worker_id if ending.calls_hooks else None
    ) | {
        "worker_id": holder.worker_id,
        "slot": holder.slot,
        "environment_id": holder.environment_id,
        "worker_queue": want.worker_queue,
        "limit": want.limit,
        "number": want.number,
        "previous_number": want.previous_number,
        "low_water": want.low_water,
    }
    ended = [(it.run_id, it.fencing_token) for it in outcomes if it.run_id in ending.with_slots]
    entries = log_params(ending.log_entries, environment_id=holder.environment_id)
    before = [("write_log_lines", entries)] if ending.log_entries else []
    rows, freed = ledger.finish_and_claim(line, params, before=before, ended=ended)
    return _taken(rows, holder, freed)


def _write_singly(
    line: Line, holder: Holder, outcomes: Sequence[Outcome], ending: _Ending
) -> Taken:
    """Write outcomes one by one, as system failures those that cannot be stored."""
    finished: set[UUID] = set()
    broken: set[UUID] = set()
    freed: Freed = {}
    for outcome in outcomes:
        try:
            taken = _write(line, holder, [outcome], Want(), ending)
        except UNSTORABLE as error:
            failure = Outcome(
                outcome.run_id,
                outcome.fencing_token,
                Status.SYSTEM_FAILURE,
                error=_refusal(outcome, error),
                has_final_hooks=True,
            )
            taken = _write(line, holder, [failure], Want(), ending)
            broken |= taken.finished
        finished |= taken.finished
        merge(freed, taken.freed)
    return Taken(frozenset(finished), (), None, freed, frozenset(broken))


def _refusal(outcome: Outcome, error: Exception) -> str:
    stated = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    reason = make_storable(stated or str(error))
    message = (
        f"The database refused to store the result of {encode('run', outcome.run_id)}: {reason}"
    )
    return json.dumps({"name": "ResultRefused", "message": message, "traceback": None})


def _taken(rows: Sequence[Row], holder: Holder, freed: Freed) -> Taken:
    finished = frozenset(next((row[0] for row in rows if row[0]), ()))
    claimed = sorted((row for row in rows if row[2] is not None), key=lambda row: (row[-1], row[2]))
    low_water = claimed[0][-1] if claimed else None
    runs = tuple(_claimed_run(row, holder) for row in claimed)
    return Taken(finished, runs, low_water, freed)


def _claimed_run(row: Row, holder: Holder) -> ClaimedRun:
    (
        _, _, run_id, fencing_token, task_id, payload, attempt_number, max_attempts, queue,
        worker_queue, priority_seconds, tags, metadata, is_test, task_version, version, created_at,
        started_at, attempt_started_at, parent_id, root_id, batch_id, replay_of_id, schedule_id,
        max_duration_seconds, needs_slot, concurrency_key, further_keys, idempotency_key, _,
    ) = row  # fmt: skip
    return ClaimedRun(
        id=run_id,
        fencing_token=fencing_token,
        task_id=task_id,
        payload=payload,
        attempt_number=attempt_number,
        max_attempts=max_attempts,
        environment=holder.environment,
        queue=queue,
        worker_queue=worker_queue,
        priority_seconds=priority_seconds,
        tags=tuple(tags),
        metadata=_object(metadata),
        is_test=is_test,
        task_version=task_version,
        version=version,
        created_at=created_at,
        started_at=started_at,
        attempt_started_at=attempt_started_at,
        parent_id=parent_id,
        root_id=root_id,
        batch_id=batch_id,
        replay_of_id=replay_of_id,
        schedule_id=encode("sched", schedule_id) if schedule_id else None,
        max_duration_seconds=max_duration_seconds,
        idempotency_key=idempotency_key,
        needs_slot=needs_slot,
        concurrency_keys=(concurrency_key, *further_keys) if concurrency_key else (),
    )


def _object(text: str) -> dict[str, Any]:
    found: dict[str, Any] = {} if text == "{}" else json.loads(text)
    return found
