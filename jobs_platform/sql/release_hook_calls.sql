-- Hook calls of these runs may be made by any worker. Parameters: run_ids.
-- Locks: the calls. Index: primary key.
UPDATE jobs_hook_call SET worker_id = NULL, slot = NULL
WHERE run_id = ANY(%(run_ids)s::uuid[])
