-- Whether a limited queue has claimable runs without a slot: somebody has them locked, or is quick.
-- Parameters: environment_id, queue. Returns: one boolean. Locks: none.
-- Index: jobs_run_claimable, whole, as for `hold_claimable.sql`; jobs_queue_key.
SELECT EXISTS (
    SELECT FROM jobs_run AS run
    WHERE run.environment_id = %(environment_id)s AND run.is_claimable
      AND run.queue = %(queue)s AND NOT run.needs_slot
) AND EXISTS (
    SELECT FROM jobs_queue AS queue
    WHERE queue.environment_id = %(environment_id)s AND queue.name = %(queue)s AND queue.is_limited
)
