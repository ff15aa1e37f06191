"""A database with committed rows and the few calls that every test of the engine makes.

The engine's lines are connections of their own, so nothing here is hidden in a transaction: the
`world` fixture empties the platform's tables after each test.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import connection, connections, transaction

from jobs_platform.domain.lifecycle import FINAL, Status
from jobs_platform.engine import caller, environments
from jobs_platform.engine.claim import Taken, Want, finish_and_claim
from jobs_platform.engine.environments import environment_id
from jobs_platform.engine.handoff import ClaimedRun, Holder, Outcome
from jobs_platform.engine.line import Line
from jobs_platform.engine.log import LogEntry
from jobs_platform.engine.stop import stop_attempts
from jobs_platform.engine.trigger import trigger, trigger_batch
from jobs_platform.engine.worker import register_worker
from jobs_platform.models import Claim, Event, Run
from jobs_platform.sdk import ports
from jobs_platform.sdk.ports import TriggerRequest

ERROR = json.dumps({"name": "ValueError", "message": "no", "traceback": None})
_log_ids = itertools.count(1)
_TABLES = (
    "jobs_run",
    "jobs_event",
    "jobs_attempt",
    "jobs_log_line",
    "jobs_hook_call",
    "jobs_claim",
    "jobs_slot",
    "jobs_start",
    "jobs_worker",
    "jobs_batch",
    "jobs_schedule",
    "jobs_queue",
    "jobs_task_definition",
)


class Recorder:
    """A bell that remembers."""

    def __init__(self) -> None:
        self.rings: list[tuple[str, int]] = []

    def __call__(self, worker_queue: str, wanted: int) -> None:
        self.rings.append((worker_queue, wanted))

    @property
    def counts(self) -> Counter[str]:
        return Counter(worker_queue for worker_queue, _ in self.rings)


class World:
    """One environment, one worker, and what a test asks of them."""

    def __init__(self) -> None:
        self.bell = Recorder()
        self.conninfo = caller.conninfo()
        self.environment_id = environment_id()
        self._lines: list[Line] = []
        self._connections: list[psycopg.Connection[Any]] = []
        self._numbers: Counter[tuple[int, int]] = Counter()
        self.line = self.new_line()
        self.holder = self.new_worker()

    def new_line(self, name: str = "jobs test") -> Line:
        line = Line(self.conninfo, application_name=name)
        self._lines.append(line)
        return line

    def connect(self) -> psycopg.Connection[Any]:
        """A plain connection, to hold transactions open in."""
        opened = psycopg.connect(self.conninfo)
        self._connections.append(opened)
        return opened

    def new_worker(
        self, *, slot: int = 1, lease_seconds: float = 600.0, environment: str | None = None
    ) -> Holder:
        known = environment_id(environment)
        worker_id = register_worker(
            self.line,
            environment_id=known,
            name="test",
            worker_queues=["default"],
            pool="test",
            slots=1,
            lease_seconds=lease_seconds,
        )
        return Holder(worker_id, slot, known, environment or ports.configuration().environment)

    def trigger(self, *, environment: str | None = None, **options: Any) -> UUID:
        return trigger(request(**options), environment=environment).id

    def trigger_many(self, count: int, **options: Any) -> list[UUID]:
        _, triggered = trigger_batch([request(**options) for _ in range(count)])
        return [one.id for one in triggered]

    def exchange(
        self,
        outcomes: Sequence[Outcome] = (),
        *,
        limit: int = 0,
        holder: Holder | None = None,
        line: Line | None = None,
        worker_queue: str = "default",
        log_entries: Sequence[LogEntry] = (),
        calls_hooks: bool = True,
        with_slots: Sequence[UUID] = (),
        **want: Any,
    ) -> Taken:
        """Finish and claim, as a slot does: each claim replaces the one before."""
        holder = holder or self.holder
        key = (holder.worker_id, holder.slot)
        self._numbers[key] += 1
        number = self._numbers[key]
        wanted = Want(
            worker_queue=worker_queue,
            limit=limit,
            number=number,
            previous_number=number - 1,
            **want,
        )
        return finish_and_claim(
            line or self.line,
            holder,
            outcomes,
            wanted,
            log_entries=log_entries,
            calls_hooks=calls_hooks,
            with_slots=with_slots,
        )

    def claim(self, limit: int = 1, **options: Any) -> tuple[ClaimedRun, ...]:
        return self.exchange(limit=limit, **options).runs

    def claim_one(self, **options: Any) -> ClaimedRun:
        (run,) = self.claim(1, **options)
        return run

    def executing(self, **options: Any) -> ClaimedRun:
        """A run that the world's worker has claimed."""
        run_id = self.trigger(**options)
        run = self.claim_one()
        assert run.id == run_id
        return run

    def finish(self, *outcomes: Outcome, **options: Any) -> frozenset[UUID]:
        return self.exchange(outcomes, **options).finished

    def stop_attempts(self, *outcomes: Outcome) -> frozenset[UUID]:
        return stop_attempts(self.line, outcomes)

    def make_due(self) -> None:
        """What waits for its time need not wait."""
        self.sql("UPDATE jobs_run SET run_at = now() WHERE is_claimable AND run_at > now()")

    def end_lease(self, worker_id: int | None = None) -> None:
        self.sql(
            "UPDATE jobs_worker SET lease_until = now() - interval '1 second' WHERE id = %s",
            [worker_id or self.holder.worker_id],
        )

    def row(self, run_id: UUID) -> Run:
        return Run.objects.get(id=run_id)

    def status(self, run_id: UUID) -> str:
        return self.row(run_id).status

    def moves(self, run_id: UUID) -> list[str]:
        return list(
            Event.objects.filter(run_id=run_id).order_by("version").values_list("move", flat=True)
        )

    def claims(self, holder: Holder | None = None) -> list[UUID]:
        worker_id = (holder or self.holder).worker_id
        rows = Claim.objects.filter(worker_id=worker_id).order_by("number")
        return [run_id for row in rows for run_id in row.run_ids]

    def sql(
        self, text: str, params: Sequence[Any] | Mapping[str, Any] | None = None
    ) -> list[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            cursor.execute(text, params)
            return cursor.fetchall() if cursor.description else []

    def check(self) -> None:
        """What holds for every run at every moment."""
        broken = self.sql(
            """
            SELECT run.id, run.status, run.version, count(event.version), max(event.version)
            FROM jobs_run AS run LEFT JOIN jobs_event AS event ON event.run_id = run.id
            GROUP BY run.id HAVING count(event.version) <> run.version
                OR max(event.version) <> run.version OR min(event.version) <> 1
            """
        )
        assert not broken, f"versions and events differ: {broken}"
        orphans = self.sql(
            """
            SELECT run.id FROM jobs_run AS run
            WHERE run.status = %s AND NOT EXISTS (
                SELECT FROM jobs_claim AS claim
                WHERE claim.worker_id = run.worker_id
                  AND (run.id, run.fencing_token) IN (
                      SELECT * FROM unnest(claim.run_ids, claim.fencing_tokens)))
            """,
            [Status.EXECUTING],
        )
        assert not orphans, f"executing, and no claim leads there: {orphans}"
        unended = self.sql(
            """
            SELECT run.id FROM jobs_run AS run
            WHERE run.status = ANY(%s) AND (run.is_claimable OR run.finished_at IS NULL)
            """,
            [sorted(FINAL)],
        )
        assert not unended

    def let_go(self) -> None:
        """Release what a failed test still holds, so that nobody waits for it."""
        for opened in self._connections:
            opened.close()

    def close(self) -> None:
        self.let_go()
        for line in self._lines:
            line.close()


def request(
    task_id: str = "task",
    *,
    payload: str = "{}",
    queue: str = "task",
    worker_queue: str = "default",
    max_attempts: int = 3,
    **options: Any,
) -> TriggerRequest:
    return TriggerRequest(
        task_id=task_id,
        payload=payload,
        queue=queue,
        worker_queue=worker_queue,
        max_attempts=max_attempts,
        **options,
    )


def completed(run: ClaimedRun, output: str = "null", **options: Any) -> Outcome:
    return Outcome(run.id, run.fencing_token, Status.COMPLETED, output=output, **options)


def ended(run: ClaimedRun, status: Status = Status.FAILED, **options: Any) -> Outcome:
    return Outcome(run.id, run.fencing_token, status, error=ERROR, **options)


def retried(run: ClaimedRun, after: float = 0.0, **options: Any) -> Outcome:
    return ended(run, Status.QUEUED, retry_after_seconds=after, **options)


def log_entry(run: ClaimedRun, message: str, **options: Any) -> LogEntry:
    values = {"level": "info", "fields": None, "source": "logger"} | options
    at = datetime.now(UTC)
    return LogEntry(next(_log_ids), run.id, run.attempt_number, at, message=message, **values)


class _Undone(Exception):
    pass


@contextmanager
def rolled_back() -> Iterator[None]:
    """A transaction, or a savepoint, of the caller that ends in an exception."""
    with suppress(_Undone), transaction.atomic():
        yield
        raise _Undone


@pytest.fixture
def transactional_db(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Committed rows, deleted afterwards: flushing every table of the project takes a second."""
    with django_db_blocker.unblock():
        environments.forget()
        try:
            yield
        finally:
            connections["default"].close()
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '5s'")
                for table in _TABLES:
                    cursor.execute(f"DELETE FROM {table}")
                cursor.execute(
                    "DELETE FROM jobs_environment WHERE slug <> %s",
                    [ports.configuration().environment],
                )
            connections["default"].close()
            environments.forget()


@pytest.fixture
def world(transactional_db: None) -> Iterator[World]:
    """Committed rows, a bell that remembers, one worker."""
    bell = caller._Ringing.bell
    made = World()
    caller.bind_bell(made.bell)
    try:
        yield made
    finally:
        caller.bind_bell(bell)
        made.close()
