-- The runs that hold idempotency keys. A statement of its own: it has to see what was committed while
-- the insert before it waited.
-- Parameters: environment_id; arrays of one length: task_ids, held_keys.
-- Returns: task_id, held_key, id, is_aged (the key holds nobody off any more).
-- Locks: none. Index: jobs_run_held_key.
SELECT run.task_id, run.held_key, run.id, run.key_expires_at <= statement_timestamp()
FROM unnest(%(task_ids)s::text[], %(held_keys)s::text[]) AS wanted (task_id, held_key)
JOIN jobs_run AS run
  ON run.environment_id = %(environment_id)s
 AND run.task_id = wanted.task_id
 AND run.held_key = wanted.held_key
