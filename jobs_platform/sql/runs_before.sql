-- How many runs go before one: of those that wait in its queue with its key, or, where it is claimable
-- itself, of those that its worker queue has; counted up to a limit.
-- Parameters: run_id, limit. Returns: count. Locks: none.
-- Index: jobs_run_waiting or jobs_run_claimable, primary key of jobs_run.
SELECT CASE WHEN run.is_waiting THEN (
    SELECT count(*) FROM (
        SELECT FROM jobs_run AS other
        WHERE other.environment_id = run.environment_id AND other.is_waiting
          AND other.queue = run.queue AND other.concurrency_key = run.concurrency_key
          AND (other.run_at, other.id) < (run.run_at, run.id)
        LIMIT %(limit)s
    ) AS waiting
) ELSE (
    SELECT count(*) FROM (
        SELECT FROM jobs_run AS other
        WHERE other.environment_id = run.environment_id AND other.is_claimable
          AND other.worker_queue = run.worker_queue AND other.run_at < run.run_at
        LIMIT %(limit)s
    ) AS claimable
) END
FROM jobs_run AS run WHERE run.id = %(run_id)s
