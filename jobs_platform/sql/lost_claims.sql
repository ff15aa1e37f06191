-- Claims whose worker is gone (stopped, or its lease ran out), or those of one dead slot.
-- Parameters: worker_id (or null: every lost worker), slot (with a worker: that slot only), limit.
-- Returns: worker_id, slot, number, run_ids, fencing_tokens.
-- Locks: the claims, skipping those that another recovery holds.
SELECT claim.worker_id, claim.slot, claim.number, claim.run_ids, claim.fencing_tokens
FROM jobs_claim AS claim
LEFT JOIN jobs_worker AS worker ON worker.id = claim.worker_id
WHERE CASE
    WHEN %(slot)s::integer IS NOT NULL THEN claim.worker_id = %(worker_id)s AND claim.slot = %(slot)s
    ELSE (%(worker_id)s::integer IS NULL OR claim.worker_id = %(worker_id)s)
         AND (worker.id IS NULL OR worker.stopped_at IS NOT NULL OR worker.lease_until < now())
    END
ORDER BY claim.worker_id, claim.slot, claim.number
LIMIT %(limit)s
FOR UPDATE OF claim SKIP LOCKED
