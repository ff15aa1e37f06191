-- End runs whose time to live has passed before their first start.
-- Parameters: environment_id, limit, error (JSON).
-- Returns one row: expired (how many), hooked (JSON: how many hook calls by worker queue), freed
--   (JSON: keys that got slots back, by queue).
-- Locks: the runs, skipping those that are claimed or cancelled at this moment; a claim that was
--   quicker has taken the time to live away, which is looked at again. Rows are named by arrays,
--   not joined, so that no plan for an empty table reads all of a full one.
-- Index: jobs_run_expiring, primary key of jobs_run and of jobs_slot.
WITH due AS MATERIALIZED (
    SELECT id, queue, is_claimable AND needs_slot AS has_slot FROM jobs_run
    WHERE environment_id = %(environment_id)s
      AND expires_at <= now()
      AND status IN ($from_expire)
    ORDER BY expires_at
    LIMIT %(limit)s
    FOR NO KEY UPDATE SKIP LOCKED
), expired AS (
    UPDATE jobs_run AS run SET
        status = $to_expire,
        version = run.version + 1,
        is_claimable = false,
        is_waiting = false,
        is_timed = false,
        held_key = NULL,
        debounce_key = NULL,
        expires_at = NULL,
        error = %(error)s::json,
        finished_at = now()
    WHERE run.id = ANY(ARRAY(SELECT id FROM due)) AND run.status IN ($from_expire)
    RETURNING run.id, run.version, run.environment_id, run.attempt_number, run.worker_queue
), freed AS (
    DELETE FROM jobs_slot AS slot
    WHERE slot.environment_id = %(environment_id)s
      AND slot.queue = ANY(ARRAY(SELECT DISTINCT queue FROM due WHERE has_slot))
      AND slot.run_id = ANY(ARRAY(SELECT id FROM due WHERE has_slot))
    RETURNING slot.queue, slot.key
), event AS (
    INSERT INTO jobs_event (run_id, version, environment_id, move, attempt_number)
    SELECT id, version, environment_id, 'expire', attempt_number FROM expired
), hook_call AS (
    INSERT INTO jobs_hook_call (run_id, environment_id, worker_queue)
    SELECT id, environment_id, worker_queue FROM expired
    ON CONFLICT (run_id) DO NOTHING
)
SELECT
    (SELECT count(*) FROM expired) AS expired,
    (SELECT json_object_agg(worker_queue, count) FROM (
        SELECT worker_queue, count(*) FROM expired GROUP BY worker_queue
    ) AS counted) AS hooked,
    (SELECT json_object_agg(queue, keys) FROM (
        SELECT queue, array_agg(DISTINCT key) AS keys FROM freed GROUP BY queue
    ) AS line) AS freed
