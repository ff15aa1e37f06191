-- A worker's lease ends now; what it still holds is recovered from its claims.
-- Parameters: worker_id. Locks: the worker's row.
UPDATE jobs_worker SET stopped_at = coalesce(stopped_at, now()), lease_until = least(lease_until, now())
WHERE id = %(worker_id)s
