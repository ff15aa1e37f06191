"""What the database holds of one environment, in few queries, and how it differs from the model."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from jobs_platform.domain.lifecycle import Status
from tests.invariants.model import Model, ModelRun
from tests.world import World

_RUNS = """
    SELECT run.id, run.status, run.version, run.attempt_number, run.max_attempts,
           run.fencing_token, run.is_claimable, run.worker_id, run.output::text, run.parent_id,
           ARRAY(SELECT version FROM jobs_event WHERE run_id = run.id ORDER BY version),
           ARRAY(SELECT move FROM jobs_event WHERE run_id = run.id ORDER BY version),
           ARRAY(SELECT number FROM jobs_attempt WHERE run_id = run.id ORDER BY number),
           ARRAY(SELECT status FROM jobs_attempt WHERE run_id = run.id ORDER BY number),
           call.run_id IS NOT NULL, call.worker_id, call.slot, call.tries
    FROM jobs_run AS run LEFT JOIN jobs_hook_call AS call ON call.run_id = run.id
    WHERE run.environment_id = %s
"""
_CLAIMS = """
    SELECT worker_id, slot, number, run_ids, fencing_tokens FROM jobs_claim
    WHERE worker_id = ANY(%s)
"""
_COUNTS = """
    SELECT (SELECT count(*) FROM jobs_event WHERE environment_id = %(id)s),
           (SELECT count(*) FROM jobs_attempt WHERE environment_id = %(id)s),
           (SELECT count(*) FROM jobs_hook_call WHERE environment_id = %(id)s),
           (SELECT count(*) FROM jobs_batch WHERE environment_id = %(id)s)
"""


def assert_agree(world: World, environment_id: int, model: Model) -> None:
    """The database is as the model says, and as no model need say."""
    rows = {row[0]: row for row in world.sql(_RUNS, [environment_id])}
    assert rows.keys() == model.runs.keys(), "runs that were committed, and runs that exist"
    claims = world.sql(_CLAIMS, [list(model.live_workers | model.lost_workers)])
    named = {tuple(row[:3]): list(zip(row[3], row[4], strict=True)) for row in claims}
    for run_id, row in rows.items():
        _assert_sound(row)
        expected = _expected(model.runs[run_id])
        assert tuple(row) == expected, f"the database has {row}, the model {expected}"
        _assert_held_once(row, named)
    assert {key: sorted(held) for key, held in named.items()} == {
        key: sorted(held) for key, held in model.claims.items()
    }
    _assert_nothing_left_over(world, environment_id, model)


def _assert_sound(row: Any) -> None:
    (_, status, version, attempt_number, max_attempts, _, is_claimable, _, _, _,
     versions, _, numbers, _, is_owed, *_) = row  # fmt: skip
    assert versions == list(range(1, version + 1)), "an event for each version, without a gap"
    assert numbers == list(range(1, len(numbers) + 1)), "attempts without a gap"
    assert is_claimable == (status == Status.QUEUED)
    assert 0 <= attempt_number <= max_attempts
    assert not is_owed or status not in (Status.QUEUED, Status.EXECUTING)


def _assert_held_once(row: Any, named: dict[Any, list[tuple[UUID, int]]]) -> None:
    run_id, status, token, worker_id = row[0], row[1], row[5], row[7]
    if status != Status.EXECUTING:
        return
    holders = [key for key, held in named.items() for paper in held if paper == (run_id, token)]
    assert [holder[0] for holder in holders] == [worker_id], f"{run_id} is held by {holders}"


def _expected(run: ModelRun) -> tuple[Any, ...]:
    owed = run.owed
    return (
        run.id,
        run.status,
        len(run.moves),
        run.attempt_number,
        run.max_attempts,
        run.token,
        run.status is Status.QUEUED,
        run.worker_id,
        run.output,
        run.parent_id,
        list(range(1, len(run.moves) + 1)),
        run.moves,
        list(range(1, len(run.ended_attempts) + 1)),
        run.ended_attempts,
        owed is not None,
        *((owed.worker_id, owed.slot, owed.tries) if owed else (None, None, None)),
    )


def _assert_nothing_left_over(world: World, environment_id: int, model: Model) -> None:
    """History belongs to runs that exist."""
    runs = model.runs.values()
    (counts,) = world.sql(_COUNTS, {"id": environment_id})
    assert tuple(counts) == (
        sum(len(run.moves) for run in runs),
        sum(len(run.ended_attempts) for run in runs),
        sum(run.owed is not None for run in runs),
        len(model.batches),
    )
