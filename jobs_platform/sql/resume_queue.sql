-- End the pause of a queue; its waiting runs are to be admitted after the commit.
-- Parameters: environment_id, queue. Returns: whether it was paused; no row: no queue.
-- Locks: the queue's row. Index: jobs_queue_key.
WITH held AS MATERIALIZED (
    SELECT id, paused_at FROM jobs_queue
    WHERE environment_id = %(environment_id)s AND name = %(queue)s
    FOR NO KEY UPDATE
), resumed AS (
    UPDATE jobs_queue AS queue SET paused_at = NULL, paused_by = ''
    FROM held WHERE queue.id = held.id AND held.paused_at IS NOT NULL
)
SELECT paused_at IS NOT NULL FROM held
