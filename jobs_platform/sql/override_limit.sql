-- Set the limit that goes before the one in the code, or take it away.
-- Parameters: environment_id, queue, override_limit (or null: the code's limit holds again), by.
-- Returns: was_limited (before); no row: no queue. Without limits there is no attempt to count any more.
-- Locks: the queue's row. Index: jobs_queue_key, primary key of jobs_slot.
WITH held AS MATERIALIZED (
    SELECT id, is_limited FROM jobs_queue
    WHERE environment_id = %(environment_id)s AND name = %(queue)s
    FOR NO KEY UPDATE
), changed AS (
    UPDATE jobs_queue AS queue SET
        override_limit = %(override_limit)s::integer,
        overridden_at = CASE WHEN %(override_limit)s::integer IS NOT NULL THEN now() END,
        overridden_by = %(by)s
    FROM held WHERE queue.id = held.id
    RETURNING queue.environment_id, queue.name, queue.is_limited
), forgotten AS (
    DELETE FROM jobs_slot AS slot USING changed
    WHERE NOT changed.is_limited AND slot.environment_id = changed.environment_id
      AND slot.queue = changed.name AND slot.key = '' AND slot.attempt_number IS NOT NULL
)
SELECT is_limited FROM held
