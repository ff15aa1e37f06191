-- Record the end of attempts whose run was cancelled under them; the runs are final already.
-- Parameters: arrays of one length: run_ids, tokens, cpu_seconds, peak_memory_bytes.
-- Returns: run_id of those that were cancelled. Locks: none. Index: primary key.
-- One that was given back before (its token is unchanged, its start is gone) has no attempt to end.
INSERT INTO jobs_attempt (
    run_id, number, environment_id, status, worker_id, started_at, finished_at, error, cpu_seconds,
    peak_memory_bytes
)
SELECT run.id, run.attempt_number, run.environment_id, run.status, run.worker_id,
       run.attempt_started_at, now(), run.error, stopped.cpu_seconds, stopped.peak_memory_bytes
FROM unnest(
    %(run_ids)s::uuid[], %(tokens)s::integer[], %(cpu_seconds)s::float8[],
    %(peak_memory_bytes)s::bigint[]
) AS stopped (run_id, token, cpu_seconds, peak_memory_bytes)
JOIN jobs_run AS run ON run.id = stopped.run_id
WHERE run.fencing_token = stopped.token AND run.status = $CANCELED
  AND run.attempt_started_at IS NOT NULL
ON CONFLICT (run_id, number) DO NOTHING
RETURNING run_id
