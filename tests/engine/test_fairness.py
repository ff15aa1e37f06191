"""One tenant's long line is no other tenant's business."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import pytest

from jobs_platform.engine.slots import admit_freed
from tests.limited import QUEUE, a_queue, let_in, waiting
from tests.world import World, completed

HOG = 100_000
_FILL = """
    INSERT INTO jobs_run (id, environment_id, task_id, status, queue, worker_queue, run_at, payload,
                          max_attempts, is_claimable, is_waiting, needs_slot, concurrency_key,
                          further_keys)
    SELECT gen_random_uuid(), %(environment_id)s, 'task', 'QUEUED', %(queue)s, 'default',
           now() - interval '1 hour' + n * interval '1 millisecond', '{}', 3, false, true, true,
           %(key)s, %(further)s
    FROM generate_series(1, %(runs)s) AS n
"""


def a_long_line(world: World, key: str, *, further: Sequence[str] = (), runs: int = HOG) -> None:
    params = {
        "environment_id": world.environment_id,
        "queue": QUEUE,
        "key": key,
        "further": list(further),
        "runs": runs,
    }
    world.sql(_FILL, params)


def runs_before(world: World, wanted: UUID, *, most: int = 5) -> int:
    """How many runs start one after another before this one, with a worker for one at a time."""
    for before in range(most):
        run = world.claim_one()
        taken = world.exchange([completed(run)], with_slots=[run.id])
        if run.id == wanted:
            return before
        admit_freed(world.line, taken.freed)
    raise AssertionError(f"{most} runs went before it")


@pytest.mark.parametrize("hog", ["a hog", "z hog"])
@pytest.mark.parametrize("further", [[], ["vendor"]])
def test_a_key_with_a_long_line_delays_another_by_one_run_at_most(
    world: World, hog: str, further: list[str]
) -> None:
    """Under a limit of the queue, and where two keys share a third one."""
    a_queue(world, concurrency_limit=None if further else 1, key_concurrency_limit=1)
    a_long_line(world, hog, further=further)
    assert let_in(world) == 1
    single = waiting(world, "m single", further=further)
    assert runs_before(world, single) <= 1


def test_who_waits_without_a_key_has_its_turn_among_the_keys(world: World) -> None:
    a_queue(world, concurrency_limit=1)
    a_long_line(world, "", runs=1_000)
    assert let_in(world) == 1
    single = waiting(world, "single")
    assert runs_before(world, single) <= 1


def test_an_admission_of_many_serves_every_key_once_before_one_twice(world: World) -> None:
    a_queue(world, concurrency_limit=6, key_concurrency_limit=6)
    a_long_line(world, "hog", runs=1_000)
    for key in ("a", "b", "x", "y"):
        waiting(world, key)
    assert let_in(world) == 6
    held = world.sql("SELECT key, count(*) FROM jobs_slot WHERE key <> '' GROUP BY key")
    assert dict(held) == {"a": 1, "b": 1, "x": 1, "y": 1, "hog": 2}
