-- Take hook calls that nobody is about to make: left by moves without a worker, or by a lost worker.
-- Parameters: worker_id, slot, environment_id, worker_queue, limit, max_tries. Returns: run_id.
-- Locks: the calls, skipping locked ones.
WITH picked AS (
    SELECT call.run_id FROM jobs_hook_call AS call
    LEFT JOIN jobs_worker AS worker ON worker.id = call.worker_id
    WHERE call.environment_id = %(environment_id)s
      AND call.worker_queue = %(worker_queue)s
      AND call.tries < %(max_tries)s
      AND (call.worker_id IS NULL OR worker.id IS NULL
           OR worker.stopped_at IS NOT NULL OR worker.lease_until < now())
    ORDER BY call.created_at
    LIMIT %(limit)s
    FOR NO KEY UPDATE OF call SKIP LOCKED
)
UPDATE jobs_hook_call AS call SET worker_id = %(worker_id)s, slot = %(slot)s, tries = call.tries + 1
FROM picked WHERE call.run_id = picked.run_id
RETURNING call.run_id
