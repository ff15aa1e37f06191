-- Free the idempotency keys of runs that have held them long enough. The run keeps showing its key.
-- Parameters: run_ids (ascending). Locks: the runs in id order. Index: primary key.
WITH aged AS MATERIALIZED (
    SELECT id FROM jobs_run
    WHERE id = ANY(%(run_ids)s::uuid[])
      AND held_key IS NOT NULL AND key_expires_at <= statement_timestamp()
    ORDER BY id
    FOR NO KEY UPDATE
)
UPDATE jobs_run AS run SET held_key = NULL FROM aged WHERE run.id = aged.id
