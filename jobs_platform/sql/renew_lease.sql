-- A worker is alive. A lease that was lost or given up is not renewed.
-- Parameters: worker_id, lease_seconds. Returns: id, or nothing when the lease is lost.
-- Locks: the worker's row.
UPDATE jobs_worker
SET heartbeat_at = now(), lease_until = now() + make_interval(secs => %(lease_seconds)s)
WHERE id = %(worker_id)s AND stopped_at IS NULL AND lease_until > now()
RETURNING id
