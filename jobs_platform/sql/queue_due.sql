-- Move on what the clock holds and whose time has come: DELAYED runs to QUEUED, claimable or waiting
-- for a slot, and retries (QUEUED already) to waiting, which is no move.
-- Parameters: environment_id, limit.
-- Returns one row: moved (how many runs), claimable (JSON: how many by worker queue), waiting (JSON:
--   keys of runs that wait for a slot now, by queue).
-- Locks: the runs, skipping those that somebody pushes back, cancels or moves on at this moment; what
--   was changed meanwhile is looked at again. Rows are named by arrays, not joined: a plan that was
--   made when the table was empty read all of it for each row (284 runs/s, not 12,000). Index: jobs_run_timed, primary key, jobs_queue_key.
WITH due AS MATERIALIZED (
    SELECT id FROM jobs_run
    WHERE environment_id = %(environment_id)s AND is_timed AND run_at <= now()
    ORDER BY run_at
    LIMIT %(limit)s
    FOR NO KEY UPDATE SKIP LOCKED
), queued AS (
    UPDATE jobs_run AS run SET
        status = $to_queue,
        version = run.version + 1,
        is_timed = false,
        (is_waiting, is_claimable, needs_slot) = (
            SELECT needed, NOT needed, needed FROM (
                SELECT run.concurrency_key <> '' OR EXISTS (
                    SELECT FROM jobs_queue AS queue
                    WHERE queue.environment_id = run.environment_id AND queue.name = run.queue
                      AND queue.is_limited
                ) AS needed
            ) AS slot
        ),
        run_at = run.run_at - make_interval(secs => run.priority_seconds),
        expires_at = now() + make_interval(secs => run.ttl_seconds),
        debounce_key = NULL
    WHERE run.id = ANY(ARRAY(SELECT id FROM due)) AND run.status IN ($from_queue)
    RETURNING run.id, run.version, run.environment_id, run.queue, run.worker_queue, run.is_waiting,
              run.concurrency_key
), retried AS (
    UPDATE jobs_run AS run SET is_timed = false, is_waiting = true
    WHERE run.id = ANY(ARRAY(SELECT id FROM due)) AND run.status NOT IN ($from_queue)
    RETURNING run.queue, run.concurrency_key
), event AS (
    INSERT INTO jobs_event (run_id, version, environment_id, move, attempt_number)
    SELECT id, version, environment_id, 'queue', 0 FROM queued
)
SELECT
    (SELECT count(*) FROM due) AS moved,
    (SELECT json_object_agg(worker_queue, count) FROM (
        SELECT worker_queue, count(*) FROM queued WHERE NOT is_waiting GROUP BY worker_queue
    ) AS counted) AS claimable,
    (SELECT json_object_agg(queue, keys) FROM (
        SELECT queue, array_agg(DISTINCT concurrency_key) AS keys FROM (
            SELECT queue, concurrency_key FROM queued WHERE is_waiting
            UNION ALL SELECT queue, concurrency_key FROM retried
        ) AS run GROUP BY queue
    ) AS line) AS waiting
