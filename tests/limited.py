"""Runs that wait for slots of a queue, and an audit of who holds slots, inside Postgres."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

from jobs_platform.domain.lifecycle import Status
from jobs_platform.engine.line import Line
from jobs_platform.engine.slots import admit
from jobs_platform.models import Slot
from tests.world import World

QUEUE = "vendor"

_GUARD = """
CREATE FUNCTION test_guard_slots() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    broken record;
BEGIN
    SELECT slot.queue, slot.key, count(*) AS held INTO broken
    FROM (SELECT DISTINCT environment_id, queue, key FROM taken) AS touched
    JOIN jobs_slot AS slot USING (environment_id, queue, key)
    JOIN jobs_queue AS queue
      ON queue.environment_id = slot.environment_id AND queue.name = slot.queue
    GROUP BY slot.queue, slot.key, queue.id
    HAVING count(*) > CASE slot.key
        WHEN '' THEN coalesce(queue.override_limit, queue.concurrency_limit, 2147483647)
        ELSE coalesce(queue.key_concurrency_limit, 1) END
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'limit exceeded: % slots of queue %, key "%"',
            broken.held, broken.queue, broken.key;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER test_guard_slots AFTER INSERT ON jobs_slot
    REFERENCING NEW TABLE AS taken FOR EACH STATEMENT EXECUTE FUNCTION test_guard_slots();
"""
_UNGUARD = """
DROP TRIGGER test_guard_slots ON jobs_slot;
DROP FUNCTION test_guard_slots();
"""
_AUDIT = """
WITH flying AS (
    SELECT run.id, run.environment_id, run.queue, run.concurrency_key, run.further_keys,
           run.status <> %(cancelled)s AS is_sure
    FROM jobs_run AS run
    WHERE run.needs_slot AND (
        run.is_claimable
        OR run.status = %(executing)s
        OR run.status = %(cancelled)s AND run.worker_id IS NOT NULL AND NOT EXISTS (
            SELECT FROM jobs_attempt AS attempt
            WHERE attempt.run_id = run.id AND attempt.number = run.attempt_number)
    )
), due AS (
    SELECT DISTINCT environment_id, queue, key, id AS run_id, is_sure
    FROM flying CROSS JOIN unnest(ARRAY['', concurrency_key] || further_keys) AS held (key)
)
SELECT CASE WHEN due.run_id IS NULL THEN 'held by nobody in flight' ELSE 'missing' END,
       coalesce(due.queue, slot.queue), coalesce(due.key, slot.key), run.id, run.status,
       run.is_claimable, run.is_waiting, run.is_timed, run.attempt_number, run.fencing_token
FROM due FULL JOIN jobs_slot AS slot USING (environment_id, queue, key, run_id)
LEFT JOIN jobs_run AS run ON run.id = run_id
WHERE due.run_id IS NULL OR slot.run_id IS NULL AND due.is_sure
"""


def a_queue(world: World, name: str = QUEUE, **facts: object) -> None:
    columns = ["environment_id", "name", *facts]
    values = [world.environment_id, name, *facts.values()]
    marks = ", ".join(["%s"] * len(values))
    world.sql(f"INSERT INTO jobs_queue ({', '.join(columns)}) VALUES ({marks})", values)


def waiting(world: World, key: str = "", *, further: Sequence[str] = (), **options: object) -> UUID:
    """A run that waits in the queue, and nothing was admitted yet."""
    weight = options.pop("weight", 1)
    run_id = world.trigger(**options)  # into a queue without limits
    world.sql(
        "UPDATE jobs_run SET is_claimable = false, is_waiting = true, needs_slot = true,"
        " queue = %s, concurrency_key = %s, further_keys = %s, rate_weight = %s WHERE id = %s",
        [QUEUE, key, list(further), weight, run_id],
    )
    return run_id


def let_in(world: World, line: Line | None = None, **options: object) -> int:
    return admit(line or world.line, world.environment_id, QUEUE, **options)["default"]


def claimable(world: World) -> set[UUID]:
    return {row[0] for row in world.sql("SELECT id FROM jobs_run WHERE is_claimable")}


def slots(world: World) -> list[tuple[str, UUID]]:
    return sorted(Slot.objects.values_list("key", "run_id"))


@contextmanager
def guarded(world: World) -> Iterator[None]:
    """No admission takes a queue or a key over the limit that holds then: else it fails."""
    world.sql(_GUARD)
    try:
        yield
    finally:
        world.let_go()
        world.sql(_UNGUARD)


def misheld_slots(line: Line) -> list[tuple[object, ...]]:
    """In one snapshot: slots that nobody in flight holds, and those that somebody should hold.

    In flight is who is claimable with a slot, executing, or cancelled while its attempt goes on:
    that slot is free when the function is over, a moment before the attempt is written down.
    """
    words = {"executing": str(Status.EXECUTING), "cancelled": str(Status.CANCELED)}
    return line.connection.execute(_AUDIT, words).fetchall()
