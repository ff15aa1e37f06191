-- Everything that decides whether a run may start now.
-- Parameters: run_id. Returns one row, or none: environment_id, slug, status, queue, worker_queue,
--   concurrency_key, further_keys, is_claimable, is_waiting, run_at, is_due, attempt_number,
--   max_attempts, attempt_started_at, finished_at, worker, is_expired, paused_at and paused_by (of the
--   queue), environment_paused_at, environment_paused_by, queue_limit, key_limit, slots_in_use (up to
--   the limit), rate_limit, rate_window_seconds, rate_used, rate_free_at, rate_weight, has_worker.
-- Locks: none. Index: primary keys of jobs_run, jobs_slot, jobs_start and jobs_event, jobs_queue_key,
--   jobs_worker_live.
SELECT
    run.environment_id, environment.slug, run.status, run.queue, run.worker_queue,
    run.concurrency_key, run.further_keys, run.is_claimable, run.is_waiting, run.run_at,
    run.run_at <= now() AS is_due, run.attempt_number, run.max_attempts, run.attempt_started_at,
    run.finished_at, worker.name AS worker, coalesce(run.expires_at <= now(), false) AS is_expired,
    known.paused_at, known.paused_by, environment.paused_at AS environment_paused_at,
    environment.paused_by AS environment_paused_by, coalesce(known.override_limit, known.concurrency_limit)
        AS queue_limit,
    coalesce(known.key_concurrency_limit, 1) AS key_limit,
    (SELECT count(*) FROM jobs_slot AS slot
     WHERE slot.environment_id = run.environment_id AND slot.queue = run.queue AND slot.key = ''
       AND NOT EXISTS (SELECT FROM jobs_attempt AS attempt
                       WHERE attempt.run_id = slot.run_id AND attempt.number = slot.attempt_number)
    ) AS slots_in_use,
    known.rate_limit, known.rate_window_seconds, started.used AS rate_used,
    started.free_at AS rate_free_at, run.rate_weight,
    EXISTS (
        SELECT FROM jobs_worker AS live
        WHERE live.environment_id = run.environment_id AND live.stopped_at IS NULL
          AND live.lease_until > now() AND run.worker_queue = ANY(live.worker_queues)
    ) AS has_worker
FROM jobs_run AS run
JOIN jobs_environment AS environment ON environment.id = run.environment_id
LEFT JOIN jobs_worker AS worker ON worker.id = run.worker_id
LEFT JOIN jobs_queue AS known
  ON known.environment_id = run.environment_id AND known.name = run.queue
LEFT JOIN LATERAL (
    SELECT coalesce(sum(start.weight), 0) AS used,
           min(event.created_at) + make_interval(secs => known.rate_window_seconds) AS free_at
    FROM jobs_start AS start
    LEFT JOIN jobs_event AS event
      ON event.run_id = start.run_id AND event.version = start.version + 1
    WHERE known.rate_limit IS NOT NULL
      AND start.environment_id = run.environment_id AND start.queue = run.queue
      AND start.key = CASE WHEN known.rate_per_key THEN run.concurrency_key ELSE '' END
      AND (event.run_id IS NULL OR event.move = 'claim'
           AND event.created_at > now() - make_interval(secs => known.rate_window_seconds))
) AS started ON true
WHERE run.id = %(run_id)s
