-- Hook calls that were to be made by the worker of the last attempt may be made by any.
-- Parameters: run_ids. Locks: the calls. Index: primary keys.
UPDATE jobs_hook_call AS call SET worker_id = NULL, slot = NULL
FROM jobs_run AS run
WHERE call.run_id = ANY(%(run_ids)s::uuid[]) AND run.id = call.run_id
  AND call.worker_id = run.worker_id
