-- Count live attempts that began without a slot, because their queue is limited now.
-- Parameters: environment_id, queue. Returns: run_id of each.
-- Their workers know of no slot: `attempt_number` of the slot tells the next admission when the attempt
--   is over (see `jobs_admit.sql`).
-- Locks: the runs, skipping those that are being finished. Index: jobs_claim (as small as the fleet),
--   primary key of jobs_run.
WITH live AS MATERIALIZED (
    SELECT run.id, run.environment_id, run.queue, run.attempt_number
    FROM jobs_run AS run
    WHERE run.id IN (
        SELECT held.run_id FROM jobs_claim AS claim CROSS JOIN LATERAL unnest(claim.run_ids) AS held (run_id)
    )
      AND run.environment_id = %(environment_id)s AND run.queue = %(queue)s
      AND run.status = $EXECUTING AND NOT run.needs_slot
      AND EXISTS (
          SELECT FROM jobs_queue AS queue
          WHERE queue.environment_id = %(environment_id)s AND queue.name = %(queue)s
            AND queue.is_limited
      )
    FOR NO KEY UPDATE SKIP LOCKED
), counted AS (
    UPDATE jobs_run AS run SET needs_slot = true FROM live WHERE run.id = live.id
)
INSERT INTO jobs_slot (environment_id, queue, key, run_id, attempt_number)
SELECT environment_id, queue, '', id, attempt_number FROM live
ON CONFLICT DO NOTHING
RETURNING run_id
