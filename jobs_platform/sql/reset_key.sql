-- Free an idempotency key, whoever holds it. The run keeps showing it.
-- Parameters: environment_id, task_id, held_key. Returns: id of the run that held it.
-- Locks: the run. Index: jobs_run_held_key.
UPDATE jobs_run AS run SET held_key = NULL
WHERE run.environment_id = %(environment_id)s
  AND run.task_id = %(task_id)s
  AND run.held_key = %(held_key)s
RETURNING run.id
