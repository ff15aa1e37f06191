-- Give a DELAYED run another time; one that is past means now.
-- Parameters: run_id, delay (seconds from now on) or delay_until (timestamptz), due_channel.
-- Returns: id; no row when the run is not DELAYED.
-- Locks: the run. Index: primary key.
WITH moved AS (
    UPDATE jobs_run AS run SET
        status = $to_reschedule,
        version = run.version + 1,
        run_at = greatest(statement_timestamp(), coalesce(
            %(delay_until)s::timestamptz,
            statement_timestamp() + make_interval(secs => %(delay)s::float8)
        ))
    WHERE run.id = %(run_id)s AND run.status IN ($from_reschedule)
    RETURNING run.id, run.version, run.environment_id, run.run_at
), event AS (
    INSERT INTO jobs_event (run_id, version, environment_id, move, attempt_number, data)
    SELECT id, version, environment_id, 'reschedule', 0, json_build_object('run_at', run_at)
    FROM moved
)
SELECT id, (SELECT pg_notify(%(due_channel)s, '') FROM moved
            WHERE run_at < statement_timestamp() + interval '1 second') AS was_told
FROM moved
