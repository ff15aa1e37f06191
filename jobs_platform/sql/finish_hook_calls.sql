-- The hooks of these runs have been called. Parameters: run_ids.
-- Locks: the calls. Index: primary key.
DELETE FROM jobs_hook_call WHERE run_id = ANY(%(run_ids)s::uuid[])
