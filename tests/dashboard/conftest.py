"""Runs in every state, made by the engine's own verbs, and people with more or less permission."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from jobs_platform.domain.ids import encode
from jobs_platform.domain.lifecycle import Status
from jobs_platform.engine import caller
from jobs_platform.engine.claim import Want, finish_and_claim
from jobs_platform.engine.environments import environment_id, forget
from jobs_platform.engine.handoff import ClaimedRun, Holder, Outcome
from jobs_platform.engine.log import LogEntry, write_log_lines
from jobs_platform.engine.trigger import trigger
from jobs_platform.engine.worker import register_worker
from jobs_platform.models import Run
from jobs_platform.sdk import ports
from jobs_platform.sdk.ports import TriggerRequest

_log_ids = itertools.count(1)


class SameTransaction:
    """The engine's `Line` over Django's connection, so that a test's rollback takes all along."""

    def execute(self, name: str, params: Any) -> list[Any]:
        return caller.execute(name, params)

    def pipeline(self, statements: list[tuple[str, Any]]) -> list[list[Any]]:
        return [self.execute(name, params) for name, params in statements]

    def transaction(self) -> AbstractContextManager[None]:
        return caller.own_transaction()


class Fleet:
    """A worker that does what a test tells it. Every run has a worker queue of its own."""

    def __init__(self) -> None:
        self.line: Any = SameTransaction()
        self.worker_id = register_worker(
            self.line,
            environment_id=environment_id(),
            name="worker-a",
            worker_queues=["default"],
            pool="prefork",
            slots=2,
            lease_seconds=30,
        )
        self.holder = Holder(self.worker_id, 1, environment_id(), ports.configuration().environment)
        self._numbers = itertools.count(1)

    def trigger(self, task_id: str = "send-email", payload: Any = None, **options: Any) -> UUID:
        number = next(self._numbers)
        given = {"queue": "default", "worker_queue": f"w{number}", "max_attempts": 3} | options
        request = TriggerRequest(task_id=task_id, payload=json.dumps(payload), **given)
        return trigger(request).id

    def start(self, run_id: UUID) -> ClaimedRun:
        # In one transaction the clock of a claim stands still, and that of a trigger goes on.
        with caller.connection().cursor() as cursor:
            cursor.execute("UPDATE jobs_run SET run_at = now() WHERE id = %s", [run_id])
        worker_queue = Run.objects.get(pk=run_id).worker_queue
        want = Want(worker_queue=worker_queue, limit=1, number=next(self._numbers))
        (claimed,) = finish_and_claim(self.line, self.holder, [], want).runs
        return claimed

    def finish(self, claimed: ClaimedRun, status: Status, **outcome: Any) -> None:
        for name in ("output", "error"):
            if name in outcome:
                outcome[name] = json.dumps(outcome[name])
        ended = Outcome(claimed.id, claimed.fencing_token, status, **outcome)
        finish_and_claim(self.line, self.holder, [ended], Want())

    def run(self, status: Status, *, task_id: str = "send-email", **outcome: Any) -> UUID:
        """A run that was triggered, executed and ended like this."""
        run_id = self.trigger(task_id)
        self.finish(self.start(run_id), status, **outcome)
        return run_id

    def log(self, claimed: ClaimedRun, *messages: str, level: str = "info", **fields: Any) -> None:
        at = datetime(2025, 3, 1, 12, 30, 15, 250_000, tzinfo=UTC)
        entries = [
            LogEntry(
                next(_log_ids),
                claimed.id,
                claimed.attempt_number,
                at,
                level,
                message,
                json.dumps(fields) if fields else None,
                "logger",
            )
            for message in messages
        ]
        write_log_lines(self.line, entries, environment_id=self.holder.environment_id)


ERROR = {"name": "ValueError", "message": "no such user", "traceback": "Traceback: line 7"}


@pytest.fixture
def fleet(db: None) -> Iterator[Fleet]:
    forget()
    yield Fleet()
    forget()


@pytest.fixture
def member(db: None) -> Callable[..., Client]:
    """Logs in a member of staff who has just these permissions."""

    def logged_in(*codenames: str) -> Client:
        user = User.objects.create_user("mary", is_staff=True)
        wanted = Permission.objects.filter(content_type__app_label="jobs", codename__in=codenames)
        assert wanted.count() == len(codenames)
        user.user_permissions.set(wanted)
        client = Client()
        client.force_login(user)
        return client

    return logged_in


@pytest.fixture
def viewer(member: Callable[..., Client]) -> Client:
    return member("view_run", "view_batch", "view_worker")


@pytest.fixture
def operator(member: Callable[..., Client]) -> Client:
    return member("view_run", "change_run")


@pytest.fixture
def page_of() -> Callable[[Client, UUID], str]:
    """The HTML of a run's page."""

    def read(client: Client, run_id: UUID) -> str:
        response = client.get(f"/admin/jobs/run/{run_id}/change/")
        assert response.status_code == 200
        return response.content.decode()

    return read


@pytest.fixture
def listed() -> Callable[..., set[str]]:
    """The public ids that the run list shows for a query."""

    def read(client: Client, known: dict[str, UUID], **query: Any) -> set[str]:
        response = client.get("/admin/jobs/run/", query)
        assert response.status_code == 200, response.headers
        shown = {run.pk for run in response.context["cl"].result_list}
        html = response.content.decode()
        assert all(encode("run", key) in html for key in shown)
        return {name for name, key in known.items() if key in shown}

    return read
