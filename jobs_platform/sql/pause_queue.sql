-- Pause a queue: no claim takes its runs from the commit on. One that is paused already stays as it is.
-- Parameters: environment_id, queue, by. Returns: whether it was not paused before; no row: no queue.
-- Locks: the queue's row. Index: jobs_queue_key.
WITH held AS MATERIALIZED (
    SELECT id, paused_at FROM jobs_queue
    WHERE environment_id = %(environment_id)s AND name = %(queue)s
    FOR NO KEY UPDATE
), paused AS (
    UPDATE jobs_queue AS queue SET paused_at = now(), paused_by = %(by)s
    FROM held WHERE queue.id = held.id AND held.paused_at IS NULL
)
SELECT paused_at IS NULL FROM held
