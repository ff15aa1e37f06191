-- What a slot has claimed and not yet forgotten. Parameters: worker_id, slot.
-- Returns: number, run_ids, fencing_tokens. Locks: the claims. Index: primary key.
SELECT number, run_ids, fencing_tokens FROM jobs_claim
WHERE worker_id = %(worker_id)s AND slot = %(slot)s
ORDER BY number
FOR UPDATE
