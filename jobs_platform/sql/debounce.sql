-- Push the DELAYED run of a debounce key back, never ahead; with `is_trailing` it gets the data of
-- this trigger.
-- Parameters: environment_id, task_id, debounce_key, delay (seconds from now on), longest (seconds
--   since the run was made, or null: as it was said before), is_trailing, payload, metadata (JSON),
--   tags (array), max_attempts, max_duration (seconds), worker_queue, due_channel.
-- Returns: id; no row when no run of the key is DELAYED (any more).
-- Locks: the run; whoever moves it on when it is due skips it meanwhile. Index: jobs_run_debounce.
WITH pushed AS (
    UPDATE jobs_run AS run SET
        status = $to_debounce,
        version = run.version + 1,
        run_at = least(
            greatest(run.run_at, statement_timestamp() + make_interval(secs => %(delay)s)),
            coalesce(run.created_at + make_interval(secs => %(longest)s::float8), run.debounce_until)
        ),
        debounce_until = coalesce(
            run.created_at + make_interval(secs => %(longest)s::float8), run.debounce_until
        ),
        payload = CASE WHEN %(is_trailing)s THEN %(payload)s::json ELSE run.payload END,
        metadata = CASE WHEN %(is_trailing)s THEN %(metadata)s::jsonb ELSE run.metadata END,
        tags = CASE WHEN %(is_trailing)s THEN %(tags)s::text[] ELSE run.tags END,
        max_attempts = CASE WHEN %(is_trailing)s THEN %(max_attempts)s ELSE run.max_attempts END,
        max_duration_seconds = CASE WHEN %(is_trailing)s THEN %(max_duration)s::float8
                               ELSE run.max_duration_seconds END,
        worker_queue = CASE WHEN %(is_trailing)s THEN %(worker_queue)s ELSE run.worker_queue END
    WHERE run.environment_id = %(environment_id)s
      AND run.task_id = %(task_id)s
      AND run.debounce_key = %(debounce_key)s
      AND run.status IN ($from_debounce)
    RETURNING run.id, run.version, run.environment_id, run.run_at
), event AS (
    INSERT INTO jobs_event (run_id, version, environment_id, move, attempt_number, data)
    SELECT id, version, environment_id, 'debounce', 0, json_build_object('run_at', run_at) FROM pushed
)
SELECT id, (SELECT pg_notify(%(due_channel)s, '') FROM pushed
            WHERE run_at < statement_timestamp() + interval '1 second') AS was_told
FROM pushed
