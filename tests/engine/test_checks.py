"""Impossible rows are refused by the database itself, whoever writes them."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction

from jobs_platform.domain.lifecycle import FINAL, Status
from jobs_platform.engine.cancel import cancel
from tests.engine.declaring import due_schedule
from tests.world import World, completed, retried

IMPOSSIBLE = {
    "unknown status": ("queued", "status = 'DONE'"),
    "final without an end": ("queued", "status = 'FAILED', is_claimable = false"),
    "live with an end": ("queued", "finished_at = now()"),
    "claimable and executing": ("executing", "is_claimable = true"),
    "claimable and final": ("cancelled", "is_claimable = true"),
    "claimable and delayed": ("queued", "status = 'DELAYED'"),
    "executing without a worker": ("executing", "worker_id = NULL"),
    "executing without a start": ("executing", "attempt_started_at = NULL"),
    "executing without an attempt": ("executing", "attempt_number = 0"),
    "output of a run that is not completed": ("executing", "output = '1'"),
    "output of a cancelled run": ("cancelled", "output = '1'"),
    "negative attempt": ("queued", "attempt_number = -1"),
    "more attempts than there may be": ("executing", "attempt_number = 4"),
    "queued without an attempt left": ("retried", "max_attempts = 1"),
    "no attempts at all": ("queued", "max_attempts = 0"),
    "cancelled without any attempt": ("cancelled", "max_attempts = 0"),
}


def prepare(world: World, state: str) -> None:
    run_id = world.trigger()
    if state == "cancelled":
        cancel(run_id)
    elif state != "queued":
        run = world.claim_one()
        if state == "retried":
            world.finish(retried(run))


@pytest.mark.parametrize("what", IMPOSSIBLE)
def test_impossible_row_is_refused(world: World, what: str) -> None:
    state, change = IMPOSSIBLE[what]
    prepare(world, state)
    with pytest.raises(IntegrityError, match="jobs_run_"), transaction.atomic():
        world.sql(f"UPDATE jobs_run SET {change}")


@pytest.mark.parametrize("status", sorted(FINAL))
def test_every_final_status_may_be_reached(world: World, status: Status) -> None:
    prepare(world, "executing")
    world.sql("UPDATE jobs_run SET status = %s, finished_at = now()", [status])
    assert world.sql("SELECT status FROM jobs_run") == [(status,)]


def test_last_attempt_may_execute_and_end(world: World) -> None:
    run = world.executing(max_attempts=1)
    assert world.finish(completed(run)) == {run.id}


def test_schedule_has_one_run_for_a_nominal_time(world: World) -> None:
    schedule = due_schedule(world)
    for _ in range(2):
        world.trigger()
    mark = "UPDATE jobs_run SET schedule_id = %s, scheduled_at = now() - interval '1 day'"
    with pytest.raises(IntegrityError, match="once_per_nominal_time"), transaction.atomic():
        world.sql(mark, [schedule.id])


@pytest.mark.parametrize("column", ["concurrency_limit", "key_concurrency_limit"])
def test_limit_of_nothing_is_refused(world: World, column: str) -> None:
    insert = f"INSERT INTO jobs_queue (environment_id, name, {column}) VALUES (%s, 'q', 0)"
    with pytest.raises(IntegrityError, match="positive"), transaction.atomic():
        world.sql(insert, [world.environment_id])
