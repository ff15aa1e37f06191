-- Which of these attempts are over without their worker's doing.
-- Parameters: arrays run_ids, tokens. Returns: id, token. Locks: none. Index: primary key.
SELECT attempt.run_id, attempt.token
FROM unnest(%(run_ids)s::uuid[], %(tokens)s::integer[]) AS attempt (run_id, token)
LEFT JOIN jobs_run AS run ON run.id = attempt.run_id
WHERE run.id IS NULL OR run.fencing_token <> attempt.token OR run.status <> $EXECUTING
