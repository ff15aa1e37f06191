-- Executing runs that nobody holds: no worker, one whose lease is over, or one without a claim of it.
-- Parameters: environment_id, limit. Returns: id, task_id, worker_id, whether the worker is live.
-- Locks: none. Index: none on purpose (no index knows the executing status): for people who ask,
--   never for a sweep.
SELECT run.id, run.task_id, run.worker_id,
       coalesce(worker.stopped_at IS NULL AND worker.lease_until > now(), false) AS is_live
FROM jobs_run AS run
LEFT JOIN jobs_worker AS worker ON worker.id = run.worker_id
WHERE run.environment_id = %(environment_id)s AND run.status = $EXECUTING
  AND (worker.id IS NULL OR worker.stopped_at IS NOT NULL OR worker.lease_until < now()
       OR NOT EXISTS (
           SELECT FROM jobs_claim AS claim
           WHERE claim.worker_id = run.worker_id
             AND (run.id, run.fencing_token) IN (
                 SELECT * FROM unnest(claim.run_ids, claim.fencing_tokens))))
ORDER BY run.id
LIMIT %(limit)s
