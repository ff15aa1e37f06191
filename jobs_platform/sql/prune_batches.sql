-- Delete old batches that have no run left, and workers that stopped long ago and hold nothing.
-- Parameters: environment_id, older_than_seconds, limit. Returns: how many batches.
-- Locks: the batches and workers that go. Index: jobs_run_batch.
WITH batch AS (
    DELETE FROM jobs_batch WHERE id IN (
        SELECT id FROM jobs_batch AS old
        WHERE environment_id = %(environment_id)s
          AND created_at < now() - make_interval(secs => %(older_than_seconds)s)
          AND NOT EXISTS (SELECT FROM jobs_run WHERE batch_id = old.id)
        LIMIT %(limit)s
    )
    RETURNING id
), worker AS (
    DELETE FROM jobs_worker AS old
    WHERE environment_id = %(environment_id)s
      AND lease_until < now() - make_interval(secs => %(older_than_seconds)s)
      AND NOT EXISTS (SELECT FROM jobs_claim WHERE worker_id = old.id)
)
SELECT count(*) FROM batch
