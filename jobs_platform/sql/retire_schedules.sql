-- Tasks whose code has no schedule any more. Parameters: environment_id, task_ids.
-- Locks: the changed schedules. Index: jobs_schedule_key.
UPDATE jobs_schedule SET is_active = false
WHERE environment_id = %(environment_id)s AND task_id = ANY(%(task_ids)s::text[])
  AND deduplication_key = 'declared' AND is_active
