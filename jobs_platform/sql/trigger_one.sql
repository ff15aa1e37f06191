-- Accept one run: one row and one event. Scalars, because a single trigger is the most frequent call
-- of all, and the document of `trigger_batch.sql` would cost it another third of a millisecond.
-- Parameters: environment_id, id, task_id, payload, queue, worker_queue, priority (seconds), metadata
--   (JSON), tags (array), max_attempts, is_test, task_version, parent_id, root_id, replay_of_id,
--   schedule_id, scheduled_at.
-- Locks: none that another statement waits for. Index: primary key, jobs_run_claimable.
WITH run AS (
    INSERT INTO jobs_run (
        id, environment_id, task_id, status, queue, worker_queue, priority_seconds, run_at, payload,
        metadata, tags, max_attempts, is_test, task_version, parent_id, root_id, replay_of_id,
        schedule_id, scheduled_at
    )
    VALUES (
        %(id)s, %(environment_id)s, %(task_id)s, $to_trigger, %(queue)s, %(worker_queue)s,
        %(priority)s, statement_timestamp() - make_interval(secs => %(priority)s), %(payload)s::json,
        %(metadata)s::jsonb, %(tags)s::text[], %(max_attempts)s, %(is_test)s, %(task_version)s,
        %(parent_id)s::uuid, %(root_id)s::uuid, %(replay_of_id)s::uuid, %(schedule_id)s::uuid,
        %(scheduled_at)s::timestamptz
    )
    RETURNING id, version, environment_id
)
INSERT INTO jobs_event (run_id, version, environment_id, move, attempt_number)
SELECT id, version, environment_id, 'trigger', 0 FROM run
