-- Schedules whose next time has come, with what their task's newest worker says of it. Those whose
-- task is in no live worker's code wait: it was removed, or is still to be deployed.
-- Parameters: environment_id, limit.
-- Returns: id, task_id, cron, timezone, external_id, next_fire_at, last_fire_at, now, queue, machine,
--   max_attempts, version, ttl_seconds, max_duration_seconds.
-- Locks: the schedules, skipping those that another beat fires. Index: jobs_schedule_due.
SELECT schedule.id, schedule.task_id, schedule.cron, schedule.timezone, schedule.external_id,
       schedule.next_fire_at, schedule.last_fire_at, now(), task.queue, task.machine,
       task.max_attempts, task.version, task.ttl_seconds, task.max_duration_seconds
FROM jobs_schedule AS schedule
JOIN jobs_task_definition AS task
  ON task.environment_id = schedule.environment_id AND task.task_id = schedule.task_id
WHERE schedule.is_active AND schedule.environment_id = %(environment_id)s
  AND schedule.next_fire_at <= now()
  AND EXISTS (
      SELECT FROM jobs_worker AS worker
      WHERE worker.stopped_at IS NULL AND worker.lease_until > now()
        AND worker.environment_id = schedule.environment_id
        AND schedule.task_id = ANY(worker.task_ids)
  )
ORDER BY schedule.next_fire_at
LIMIT %(limit)s
FOR NO KEY UPDATE OF schedule SKIP LOCKED
