-- Everything that the clock has to look at, in one statement: the idle cost of a beat.
-- Parameters: environment_id, max_tries (of a hook call).
-- Returns rows (kind, detail, at): `lost` with a worker id, `schedule`, `timed`, `expiring`,
--   `waiting`, `admit`, `hook_call` and `claimable` with a worker queue; `at` is when it is due, which
--   may be ahead.
-- Index: jobs_run_claimable read loosely, one step for each worker queue; the first entry of
--   jobs_run_timed, jobs_run_expiring, jobs_run_waiting and jobs_queue_admit; the rest are tiny tables.
WITH RECURSIVE queue AS (
    (SELECT worker_queue, run_at FROM jobs_run
     WHERE environment_id = %(environment_id)s AND is_claimable
     ORDER BY worker_queue, run_at LIMIT 1)
    UNION ALL
    SELECT further.worker_queue, further.run_at FROM queue CROSS JOIN LATERAL (
        SELECT worker_queue, run_at FROM jobs_run
        WHERE environment_id = %(environment_id)s AND is_claimable AND worker_queue > queue.worker_queue
        ORDER BY worker_queue, run_at LIMIT 1
    ) AS further
)
SELECT 'claimable' AS kind, worker_queue AS detail, run_at AS at, now() AS now FROM queue
UNION ALL
(SELECT 'timed', '', run_at, now() FROM jobs_run
 WHERE environment_id = %(environment_id)s AND is_timed ORDER BY run_at LIMIT 1)
UNION ALL
(SELECT 'expiring', '', expires_at, now() FROM jobs_run
 WHERE environment_id = %(environment_id)s AND expires_at IS NOT NULL ORDER BY expires_at LIMIT 1)
UNION ALL
(SELECT 'waiting', '', now(), now() FROM jobs_run
 WHERE environment_id = %(environment_id)s AND is_waiting LIMIT 1)
UNION ALL
(SELECT 'admit', '', admit_at, now() FROM jobs_queue
 WHERE environment_id = %(environment_id)s AND admit_at IS NOT NULL AND paused_at IS NULL
 ORDER BY admit_at LIMIT 1)
UNION ALL
SELECT 'lost', worker.id::text, now(), now() FROM jobs_worker AS worker
WHERE worker.stopped_at IS NULL AND worker.lease_until < now()
UNION ALL
SELECT 'lost', claim.worker_id::text, now(), now()
FROM (SELECT DISTINCT worker_id FROM jobs_claim) AS claim
LEFT JOIN jobs_worker AS worker ON worker.id = claim.worker_id
WHERE worker.id IS NULL OR worker.stopped_at IS NOT NULL
UNION ALL
SELECT 'hook_call', call.worker_queue, now(), now()
FROM jobs_hook_call AS call LEFT JOIN jobs_worker AS worker ON worker.id = call.worker_id
WHERE call.environment_id = %(environment_id)s AND call.tries < %(max_tries)s
  AND (worker.id IS NULL OR worker.stopped_at IS NOT NULL OR worker.lease_until < now())
GROUP BY call.worker_queue
UNION ALL
(SELECT 'schedule', '', schedule.next_fire_at, now() FROM jobs_schedule AS schedule
 WHERE schedule.is_active AND schedule.environment_id = %(environment_id)s
   AND schedule.next_fire_at IS NOT NULL
   AND EXISTS (
       SELECT FROM jobs_worker AS worker
       WHERE worker.stopped_at IS NULL AND worker.lease_until > now()
         AND worker.environment_id = schedule.environment_id
         AND schedule.task_id = ANY(worker.task_ids))
 ORDER BY schedule.next_fire_at LIMIT 1)
