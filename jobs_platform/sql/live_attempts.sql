-- Lock those of these attempts that no other claim has followed.
-- Parameters: arrays run_ids, tokens. Returns: id, fencing_token, status, attempt_number,
--   max_attempts, task_id, worker_queue.
-- Locks: the runs in id order. Index: primary key.
SELECT run.id, run.fencing_token, run.status, run.attempt_number, run.max_attempts,
       run.task_id, run.worker_queue
FROM unnest(%(run_ids)s::uuid[], %(tokens)s::integer[]) AS attempt (run_id, token)
JOIN jobs_run AS run ON run.id = attempt.run_id AND run.fencing_token = attempt.token
ORDER BY run.id
FOR NO KEY UPDATE OF run
