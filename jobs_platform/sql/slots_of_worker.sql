-- Slots of a worker that hold claims or owe hook calls.
-- Parameters: worker_id. Returns: slot. Locks: none. Index: primary key of the claims.
SELECT slot FROM jobs_claim WHERE worker_id = %(worker_id)s
UNION
SELECT slot FROM jobs_hook_call WHERE worker_id = %(worker_id)s AND slot IS NOT NULL
