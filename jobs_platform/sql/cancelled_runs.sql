-- Which of these runs are cancelled. Parameters: run_ids. Returns: id. Locks: none.
-- Index: primary key.
SELECT id FROM jobs_run WHERE id = ANY(%(run_ids)s::uuid[]) AND status = $CANCELED
