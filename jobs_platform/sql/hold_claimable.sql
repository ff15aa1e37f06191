-- Let claimable runs of a queue wait for a slot, because it is limited now: one bounded batch.
-- Parameters: environment_id, queue, limit.
-- Returns: id of each. A retry that is not due yet is timed: the clock lets it wait when it is.
-- Locks: the runs, skipping those that are being claimed. Index: jobs_run_claimable, whole: claimable
--   runs have no index by queue, and this is done when a person changes a limit.
WITH chosen AS MATERIALIZED (
    SELECT run.id FROM jobs_run AS run
    WHERE run.environment_id = %(environment_id)s AND run.is_claimable
      AND run.queue = %(queue)s AND NOT run.needs_slot
      AND EXISTS (
          SELECT FROM jobs_queue AS queue
          WHERE queue.environment_id = %(environment_id)s AND queue.name = %(queue)s
            AND queue.is_limited
      )
    LIMIT %(limit)s
    FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE jobs_run AS run SET
    is_claimable = false,
    is_waiting = run.run_at <= now(),
    is_timed = run.run_at > now(),
    needs_slot = true
FROM chosen WHERE run.id = chosen.id
RETURNING run.id
