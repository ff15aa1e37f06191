"""`manage.py doctor`: each thing that can be wrong is named, with what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.db import connections
from django.db.utils import OperationalError

from jobs_platform.domain.errors import TaskImportError
from jobs_platform.management.checkup import broker
from jobs_platform.sdk.discovery import Report
from jobs_platform.sdk.registry import registry
from tests.commands.conftest import Manage
from tests.world import World


@pytest.fixture
def healthy(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A world with a worker, a beat, one task that workers know, and an empty Redis."""
    monkeypatch.setattr(registry, "_report", Report((), ()))
    monkeypatch.setattr(registry, "_tasks", {})
    world.sql(
        "INSERT INTO jobs_worker (environment_id, name, worker_queues, pool, slots, lease_until) "
        "VALUES (%s, 'beat', '{}', 'beat', 0, now() + interval '1 minute')",
        [world.environment_id],
    )
    world.sql(
        "INSERT INTO jobs_task_definition (environment_id, task_id, queue, machine, max_attempts) "
        "VALUES (%s, 'task', 'task', 'default', 3)",
        [world.environment_id],
    )
    with broker.client() as client:
        client.flushall()
        yield world
        client.flushall()


def _findings(manage: Manage) -> dict[str, dict[str, Any]]:
    """What is not in order, by check."""
    finished = manage("doctor", "--json")
    found = {
        finding["check"]: finding
        for finding in finished.json["findings"]
        if finding["level"] != "ok"
    }
    has_problem = any(finding["level"] == "problem" for finding in found.values())
    assert finished.code == int(has_problem)
    assert finished.json["is_healthy"] is not has_problem
    assert all(finding["mend"] for finding in found.values())
    return found


def test_a_healthy_platform_is_well(manage: Manage, healthy: World) -> None:
    finished = manage("doctor")
    assert (finished.code, finished.out.splitlines()[-1]) == (0, "All is well.")
    assert "1 worker is live, with 1 slot." in finished.out
    assert _findings(manage) == {}


def test_without_worker_and_beat_nothing_moves(manage: Manage, healthy: World) -> None:
    healthy.sql("UPDATE jobs_worker SET stopped_at = now()")
    healthy.trigger()
    found = _findings(manage)
    assert set(found) == {"workers", "beat", "waiting"}
    assert "no live worker serves it" in found["waiting"]["what"]
    assert found["beat"]["mend"].startswith("Start one: `manage.py beat`")


def test_a_machine_without_a_worker_is_named(manage: Manage, healthy: World) -> None:
    healthy.trigger(worker_queue="large-1x")
    assert "--machine large-1x" in _findings(manage)["waiting"]["mend"]


def test_a_machine_that_threads_serve_has_no_limit_of_memory(
    manage: Manage, healthy: World
) -> None:
    healthy.sql("UPDATE jobs_worker SET pool = 'threads', worker_queues = '{default,micro}'")
    assert "memory" not in _findings(manage)
    healthy.sql("UPDATE jobs_task_definition SET machine = 'micro'")
    found = _findings(manage)["memory"]
    assert (found["level"], "serves micro with threads" in found["what"]) == ("warn", True)
    healthy.sql("UPDATE jobs_worker SET pool = 'prefork'")
    assert "memory" not in _findings(manage)


def test_idle_workers_and_waiting_runs_are_a_problem_busy_ones_a_warning(
    manage: Manage, healthy: World
) -> None:
    healthy.executing()
    healthy.trigger()
    healthy.sql("UPDATE jobs_run SET run_at = now() - interval '1 minute' WHERE is_claimable")
    assert _findings(manage)["waiting"]["level"] == "warn"
    healthy.new_worker()
    found = _findings(manage)["waiting"]
    assert (found["level"], "1 slot is idle" in found["what"]) == ("problem", True)


def test_a_dead_worker_that_holds_runs_is_a_problem(manage: Manage, healthy: World) -> None:
    healthy.executing()
    healthy.new_worker()
    healthy.sql(
        "UPDATE jobs_worker SET lease_until = now() - interval '1 minute' WHERE id = %s",
        [healthy.holder.worker_id],
    )
    found = _findings(manage)
    assert {name: finding["level"] for name, finding in found.items()} == {
        "lost workers": "problem",
        "attempts": "warn",
    }


def test_an_executing_run_without_a_claim_is_a_problem(manage: Manage, healthy: World) -> None:
    run = healthy.executing()
    healthy.sql("DELETE FROM jobs_claim")
    found = _findings(manage)["attempts"]
    assert "no claim knows" in found["what"]
    healthy.sql("DELETE FROM jobs_event WHERE run_id = %s", [run.id])
    healthy.sql("DELETE FROM jobs_run WHERE id = %s", [run.id])


def test_final_hooks_that_nobody_calls_are_named(manage: Manage, healthy: World) -> None:
    run_id = healthy.trigger()
    owed = (
        "INSERT INTO jobs_hook_call (run_id, environment_id, worker_queue, tries, created_at) "
        "VALUES (%s, %s, 'default', %s, now() - interval '1 minute')"
    )
    healthy.sql(owed, [run_id, healthy.environment_id, 0])
    assert _findings(manage)["hooks"]["level"] == "warn"
    healthy.sql("UPDATE jobs_hook_call SET tries = 3")
    assert _findings(manage)["hooks"]["level"] == "problem"


def test_an_open_transaction_is_a_warning(
    manage: Manage, healthy: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs_platform.management.checkup.database.LONG_TRANSACTION_SECONDS", 0)
    opened = healthy.connect()
    opened.execute("SELECT 1")
    found = _findings(manage)["transactions"]
    assert f"pg_terminate_backend({opened.info.backend_pid})" in found["mend"]


def test_runs_beyond_their_retention_are_a_warning(manage: Manage, healthy: World) -> None:
    run = healthy.executing()
    healthy.sql(
        "UPDATE jobs_run SET status = 'FAILED', finished_at = now() - interval '100 days' "
        "WHERE id = %s",
        [run.id],
    )
    healthy.sql("DELETE FROM jobs_claim")
    assert "older than the retention of 90 days" in _findings(manage)["retention"]["what"]


def test_a_task_that_no_worker_has_registered_is_a_warning(
    manage: Manage, healthy: World, hello: str
) -> None:
    found = _findings(manage)["tasks"]
    assert (found["level"], found["what"]) == ("warn", "No worker has registered hello.")


def test_runs_whose_task_nobody_knows_are_a_problem(manage: Manage, healthy: World) -> None:
    healthy.trigger(task_id="forgotten")
    found = _findings(manage)["tasks"]
    assert (found["level"], "nobody knows: forgotten" in found["what"]) == ("problem", True)


def test_a_module_that_does_not_import_is_a_problem(
    manage: Manage, healthy: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = TaskImportError(module="tasks.x", file="tasks/x.py", line=3, reason="SyntaxError: no")
    monkeypatch.setattr(registry, "_report", Report((), (error,)))
    assert "tasks/x.py, line 3" in _findings(manage)["code"]["what"]


def test_wake_ups_that_nobody_takes_are_a_problem(manage: Manage, healthy: World) -> None:
    with broker.client() as client:
        client.rpush("jobs.default", *range(100))
    assert "nobody takes those of: default" in _findings(manage)["wake-ups"]["what"]


def test_a_redis_that_evicts_is_a_warning(manage: Manage, healthy: World) -> None:
    with broker.client() as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        try:
            assert "allkeys-lru" in _findings(manage)["eviction"]["what"]
        finally:
            client.config_set("maxmemory-policy", "noeviction")


def test_a_redis_that_is_away_is_a_problem_and_not_the_end(
    manage: Manage, healthy: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "CELERY_BROKER_URL", "redis://:secret@127.0.0.1:1/0")
    found = _findings(manage)
    assert set(found) == {"redis"}
    assert "secret" not in found["redis"]["what"]
    assert manage("whoami", "--json").json["redis"]["version"] is None


def test_a_database_that_is_away_is_a_problem_and_not_the_end(
    manage: Manage, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise OperationalError("it is away")

    with monkeypatch.context() as broken:
        broken.setattr(connections["default"], "ensure_connection", fail)
        finished = manage("doctor")
        assert manage("whoami", "--json").json["database"]["error"] == "it is away"
    assert finished.code == 1
    assert "✗ database     Postgres cannot be reached: it is away." in finished.out
    assert "redis" in finished.out
