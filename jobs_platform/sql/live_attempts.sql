-- Of these runs, those whose attempt this worker still holds, and those cancelled under it.
-- Parameters: run_ids, worker_id. Returns: id, fencing_token, status, attempt_number, max_attempts.
-- Locks: the runs in id order. Index: primary key.
SELECT id, fencing_token, status, attempt_number, max_attempts
FROM jobs_run
WHERE id = ANY(%(run_ids)s::uuid[]) AND worker_id = %(worker_id)s
ORDER BY id
FOR NO KEY UPDATE
