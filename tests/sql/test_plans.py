"""The hot statements use their index on a table that is worth one, whatever statistics say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from jobs_platform.engine import ledger
from jobs_platform.engine.claim import LONG_AGO
from jobs_platform.engine.hook_call import MAX_TRIES
from jobs_platform.sql import statement
from tests.world import World, completed

RUNS = 5_000
QUEUES = 4
_FILL = """
    INSERT INTO jobs_run (id, environment_id, task_id, status, queue, worker_queue, run_at, payload,
                          max_attempts, is_claimable, finished_at, batch_id)
    SELECT gen_random_uuid(), %(environment_id)s, 'task',
           CASE WHEN n %% 10 = 0 THEN 'QUEUED' ELSE 'COMPLETED' END, 'task',
           CASE WHEN n %% 10 = 0 THEN 'queue-' || n %% 4 ELSE 'default' END,
           now() - n * interval '1 second', '{}', 3, n %% 10 = 0,
           CASE WHEN n %% 10 <> 0 THEN now() END, NULL
    FROM generate_series(1, %(runs)s) AS n
"""


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)


def scans(world: World, name: str, params: dict[str, Any]) -> dict[str, set[str]]:
    """How each table is read by a statement: names of indexes, or `Seq Scan`."""
    line = world.line
    with line.transaction():
        rows = line.connection.execute(
            f"EXPLAIN (FORMAT JSON) {statement(name)}", params, prepare=False
        ).fetchall()
    plan = rows[0][0] if isinstance(rows[0][0], list) else json.loads(rows[0][0])
    found: dict[str, set[str]] = {}
    for node in nodes(plan[0]["Plan"]):
        if node["Node Type"] == "ModifyTable":
            continue
        if "Relation Name" in node and "Index Name" not in node:
            found.setdefault(node["Relation Name"], set()).add(node["Node Type"])
        elif "Index Name" in node and "Relation Name" in node:
            found.setdefault(node["Relation Name"], set()).add(node["Index Name"])
        elif "Index Name" in node:
            found.setdefault("bitmap", set()).add(node["Index Name"])
    return found


@pytest.fixture
def full(world: World) -> World:
    """Many runs, most of them over, as in a table with history."""
    world.sql(_FILL, {"environment_id": world.environment_id, "runs": RUNS})
    world.sql("ANALYZE jobs_run")
    return world


def exchange(world: World, **changed: Any) -> dict[str, Any]:
    return ledger.outcome_params(changed.pop("outcomes", []), hook_worker_id=None) | {
        "worker_id": world.holder.worker_id,
        "slot": 1,
        "environment_id": world.environment_id,
        "worker_queue": "queue-0",
        "limit": 8,
        "number": 1,
        "previous_number": 0,
        "low_water": LONG_AGO,
        **changed,
    }


def test_claim_goes_by_the_index_of_claimable_runs(full: World) -> None:
    found = scans(full, "finish_and_claim", exchange(full))
    assert found["jobs_run"] == {"jobs_run_claimable", "jobs_run_pkey"}
    assert found["jobs_worker"] <= {"jobs_worker_pkey", "jobs_worker_live"}
    assert found["jobs_claim"] == {"jobs_claim_pkey"}


def test_claim_reads_no_more_entries_than_it_needs(full: World) -> None:
    """Its index gives the order, so a long queue costs no more than a short one."""
    line, name = full.line, "finish_and_claim"
    with line.transaction():
        ((plan,),) = line.connection.execute(
            f"EXPLAIN (ANALYZE, FORMAT JSON) {statement(name)}", exchange(full), prepare=False
        ).fetchall()
        read = [
            node["Actual Rows"] * node["Actual Loops"]
            for node in nodes(plan[0]["Plan"])
            if node.get("Index Name") == "jobs_run_claimable"
        ]
        sorts = [node for node in nodes(plan[0]["Plan"]) if node.get("Node Type") == "Sort"]
    assert len(read) == 1
    assert read[0] <= 8
    assert not [node for node in sorts if "run.run_at" in node.get("Sort Key", ())]


def test_finish_goes_by_the_primary_key(full: World) -> None:
    run = full.executing()
    found = scans(full, "finish_and_claim", exchange(full, outcomes=[completed(run)], limit=0))
    assert found["jobs_run"] == {"jobs_run_claimable", "jobs_run_pkey"}


def test_clock_steps_through_worker_queues(full: World) -> None:
    full.trigger()
    params = {"environment_id": full.environment_id, "max_tries": MAX_TRIES}
    found = scans(full, "what_is_due", params)
    wanted = {"jobs_run_claimable", "jobs_run_timed", "jobs_run_expiring", "jobs_run_waiting"}
    assert found["jobs_run"] == wanted
    with full.line.transaction():
        ((plan,),) = full.line.connection.execute(
            f"EXPLAIN (ANALYZE, FORMAT JSON) {statement('what_is_due')}", params, prepare=False
        ).fetchall()
    read = sum(
        node["Actual Rows"] * node["Actual Loops"]
        for node in nodes(plan[0]["Plan"])
        if node.get("Index Name") == "jobs_run_claimable"
    )
    assert 1 <= read <= QUEUES + 2


def test_the_lines_of_waiting_runs_are_read_one_step_for_each_key(full: World) -> None:
    full.sql(
        "UPDATE jobs_run SET is_claimable = false, is_waiting = true, queue = 'q' || random()::int,"
        " concurrency_key = worker_queue WHERE is_claimable"
    )
    full.sql("ANALYZE jobs_run")
    params = {"environment_id": full.environment_id, "after_queue": "", "after_key": "", "limit": 9}
    assert scans(full, "waiting_lines", params)["jobs_run"] == {"jobs_run_waiting"}
    with full.line.transaction():
        ((plan,),) = full.line.connection.execute(
            f"EXPLAIN (ANALYZE, FORMAT JSON) {statement('waiting_lines')}", params, prepare=False
        ).fetchall()
    read = sum(
        node["Actual Rows"] * node["Actual Loops"]
        for node in nodes(plan[0]["Plan"])
        if node.get("Index Name") == "jobs_run_waiting"
    )
    assert 1 <= read <= 9


def test_queues_to_admit_are_found_by_their_index(full: World) -> None:
    full.sql(
        "INSERT INTO jobs_queue (environment_id, name, admit_at)"
        " SELECT %s, n, CASE WHEN n = 1 THEN now() END FROM generate_series(1, 1000) AS n",
        [full.environment_id],
    )
    full.sql("ANALYZE jobs_queue")
    found = scans(full, "queues_to_admit", {"environment_id": full.environment_id})
    assert found["jobs_queue"] == {"jobs_queue_admit"}


def test_delays_are_moved_on_by_the_index_of_times(full: World) -> None:
    params = {"environment_id": full.environment_id, "limit": 10}
    found = scans(full, "queue_due", params)
    assert found["jobs_run"] == {"jobs_run_timed", "jobs_run_pkey"}
    assert found["jobs_queue"] == {"jobs_queue_key"}


@pytest.mark.parametrize("name", ["queue_due", "expire_due"])
def test_sweep_planned_for_an_empty_table_finds_its_rows_by_their_ids(
    world: World, name: str
) -> None:
    """Its plan is kept, and 100,000 runs may come after it was made."""
    params = {"environment_id": world.environment_id, "limit": 10, "error": "{}"}
    world.sql("ANALYZE jobs_run")
    text = statement(name)
    with world.line.transaction():
        ((plan,),) = world.line.connection.execute(
            f"EXPLAIN (FORMAT JSON) {text}", params, prepare=False
        ).fetchall()
    found = [node for node in nodes(plan[0]["Plan"]) if node.get("Index Name") == "jobs_run_pkey"]
    assert found
    assert all("id" in node.get("Index Cond", "") for node in found)


def test_expiry_goes_by_the_index_of_times_to_live(full: World) -> None:
    params = {"environment_id": full.environment_id, "limit": 10, "error": "{}"}
    found = scans(full, "expire_due", params)
    assert found["jobs_run"] == {"jobs_run_expiring", "jobs_run_pkey"}


def test_push_back_goes_by_the_key(full: World) -> None:
    params = {
        "environment_id": full.environment_id,
        "task_id": "t",
        "debounce_key": "k",
        "delay": 1.0,
        "longest": None,
        "is_trailing": True,
        "payload": "{}",
        "metadata": "{}",
        "tags": [],
        "max_attempts": 1,
        "max_duration": None,
        "worker_queue": "w",
        "due_channel": "c",
    }
    assert scans(full, "debounce", params)["jobs_run"] == {"jobs_run_debounce"}


def test_holders_of_keys_are_found_by_their_keys(full: World) -> None:
    params = {"environment_id": full.environment_id, "task_ids": ["t"], "held_keys": ["k"]}
    assert scans(full, "holders_of_keys", params)["jobs_run"] == {"jobs_run_held_key"}
    assert scans(full, "reset_key", {
        "environment_id": full.environment_id, "task_id": "t", "held_key": "k"
    })["jobs_run"] == {"jobs_run_held_key"}  # fmt: skip


def test_busy_keys_are_found_by_their_indexes(full: World) -> None:
    params = {"environment_id": full.environment_id, "queues": ["q"], "keys": ["k"]}
    found = scans(full, "busy_keys", params)
    assert found["jobs_run"] == {"jobs_run_waiting", "jobs_run_timed_key"}
    assert found["jobs_slot"] == {"jobs_slot_pkey"}


def test_length_of_a_queue_is_counted_in_its_indexes(full: World) -> None:
    params = {"environment_id": full.environment_id, "queues": ["q"], "limits": [5]}
    found = scans(full, "queue_lengths", params)
    assert found["jobs_run"] == {"jobs_run_waiting", "jobs_run_pkey"}


@pytest.mark.parametrize("name", ["give_back", "live_attempts", "cancelled_attempts"])
def test_named_attempts_are_found_by_primary_key(full: World, name: str) -> None:
    run = full.executing()
    params = {"run_ids": [run.id], "tokens": [run.fencing_token]}
    assert scans(full, name, params)["jobs_run"] == {"jobs_run_pkey"}


def test_family_is_found_by_parent(full: World) -> None:
    parent = full.trigger()
    full.trigger(parent_id=parent)
    found = scans(full, "lock_family", {"run_id": parent})
    assert found["jobs_run"] == {"jobs_run_pkey", "jobs_run_parent"}


def test_pruning_goes_by_the_time_in_the_id(full: World) -> None:
    params = {"environment_id": full.environment_id, "older_than_seconds": 86_400.0, "limit": 10}
    found = scans(full, "prune_runs", params)
    assert "Seq Scan" not in set().union(*found.values())
    assert found["jobs_run"] == {"jobs_run_pkey"}
