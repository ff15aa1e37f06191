-- Delete claims that were recovered. Parameters: arrays worker_ids, slots, numbers.
-- Locks: the claims, held already. Index: primary key.
DELETE FROM jobs_claim AS claim
USING unnest(%(worker_ids)s::integer[], %(slots)s::integer[], %(numbers)s::bigint[])
    AS gone (worker_id, slot, number)
WHERE claim.worker_id = gone.worker_id AND claim.slot = gone.slot AND claim.number = gone.number
