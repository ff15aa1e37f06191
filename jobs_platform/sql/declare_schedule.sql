-- A schedule that comes with its task's code. An unchanged one keeps its next time, so that a restart
-- neither loses nor repeats one; a changed one goes on from now.
-- Parameters: id (of a new one), environment_id, task_id, cron, timezone, next_fire_at.
-- Locks: the schedule. Index: jobs_schedule_key.
INSERT INTO jobs_schedule AS known (
    id, environment_id, task_id, deduplication_key, cron, timezone, next_fire_at
)
VALUES (%(id)s, %(environment_id)s, %(task_id)s, 'declared', %(cron)s, %(timezone)s,
        %(next_fire_at)s)
ON CONFLICT (environment_id, task_id, deduplication_key) DO UPDATE SET
    cron = excluded.cron, timezone = excluded.timezone, next_fire_at = excluded.next_fire_at,
    is_active = true
WHERE (known.cron, known.timezone, known.is_active)
    IS DISTINCT FROM (excluded.cron, excluded.timezone, true)
