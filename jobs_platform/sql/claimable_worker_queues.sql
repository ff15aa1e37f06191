-- Worker queues with runs that could be claimed now. Parameters: environment_id. Returns: worker_queue.
-- Locks: none. Index: jobs_run_claimable, read loosely.
WITH RECURSIVE queue AS (
    (SELECT worker_queue FROM jobs_run
     WHERE environment_id = %(environment_id)s AND is_claimable
     ORDER BY worker_queue LIMIT 1)
    UNION ALL
    SELECT further.worker_queue FROM queue CROSS JOIN LATERAL (
        SELECT worker_queue FROM jobs_run
        WHERE environment_id = %(environment_id)s AND is_claimable AND worker_queue > queue.worker_queue
        ORDER BY worker_queue LIMIT 1
    ) AS further
)
SELECT worker_queue FROM queue
