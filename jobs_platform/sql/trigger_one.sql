-- Accept one plain run: one row and one event. Scalars, because a single trigger is the most frequent
-- call of all, and the document of `trigger_batch.sql` would cost it another third of a millisecond.
-- Parameters: environment_id, id, task_id, payload, queue, worker_queue, priority (seconds), metadata
--   (JSON), tags (array), max_attempts, is_test, task_version, parent_id, root_id, replay_of_id,
--   schedule_id, scheduled_at, ttl (seconds), max_duration (seconds), names_queue (the queue is made
--   if there is none of that name), is_allowed (it is known that the queue takes the run).
-- Returns: is_waiting (for a slot of its queue); no row where the queue may refuse it, and nothing is
--   written: `trigger_batch.sql` is to write it when that has been looked at.
-- Locks: none that another statement waits for, but whoever makes the same queue at this moment.
-- Index: primary key, jobs_run_claimable, jobs_queue_key.
WITH queue AS MATERIALIZED (
    SELECT is_limited, max_length IS NOT NULL OR rate_on_limit = 'refuse' AS is_strict
    FROM jobs_queue WHERE environment_id = %(environment_id)s AND name = %(queue)s
), made AS (
    INSERT INTO jobs_queue (environment_id, name)
    SELECT %(environment_id)s, %(queue)s
    WHERE %(names_queue)s AND NOT EXISTS (SELECT FROM queue)
    ON CONFLICT (environment_id, name) DO NOTHING
), run AS (
    INSERT INTO jobs_run (
        id, environment_id, task_id, status, queue, worker_queue, priority_seconds, run_at, payload,
        metadata, tags, max_attempts, is_test, task_version, parent_id, root_id, replay_of_id,
        schedule_id, scheduled_at, max_duration_seconds, ttl_seconds, expires_at, is_claimable,
        is_waiting, needs_slot
    )
    SELECT
        %(id)s::uuid, %(environment_id)s, %(task_id)s, $to_trigger, %(queue)s, %(worker_queue)s,
        %(priority)s, statement_timestamp() - make_interval(secs => %(priority)s), %(payload)s::json,
        %(metadata)s::jsonb, %(tags)s::text[], %(max_attempts)s, %(is_test)s, %(task_version)s,
        %(parent_id)s::uuid, %(root_id)s::uuid, %(replay_of_id)s::uuid, %(schedule_id)s::uuid,
        %(scheduled_at)s::timestamptz, %(max_duration)s::float8, %(ttl)s::float8,
        statement_timestamp() + make_interval(secs => %(ttl)s::float8),
        queue.is_limited IS NOT TRUE, queue.is_limited IS TRUE, queue.is_limited IS TRUE
    FROM (SELECT) AS always LEFT JOIN queue ON true
    WHERE queue.is_strict IS NOT TRUE OR %(is_allowed)s
    RETURNING id, version, environment_id, is_waiting
), event AS (
    INSERT INTO jobs_event (run_id, version, environment_id, move, attempt_number)
    SELECT id, version, environment_id, 'trigger', 0 FROM run
)
SELECT is_waiting FROM run
