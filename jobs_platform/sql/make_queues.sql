-- Make the rows of queues that have none.
-- Parameters: environment_id, queues (JSON array of name, concurrency_limit, key_concurrency_limit,
--   on_conflict, rate_limit, rate_window_seconds, rate_per_key, rate_on_limit, max_length).
-- Locks: in name order, whoever makes the same queue at this moment; existing rows are left alone.
-- Index: jobs_queue_key.
INSERT INTO jobs_queue (
    environment_id, name, concurrency_limit, key_concurrency_limit, on_conflict, rate_limit,
    rate_window_seconds, rate_per_key, rate_on_limit, max_length
)
SELECT
    %(environment_id)s, name, concurrency_limit, key_concurrency_limit, coalesce(on_conflict, 'wait'),
    rate_limit, rate_window_seconds, coalesce(rate_per_key, false),
    coalesce(rate_on_limit, 'throttle'), max_length
FROM json_to_recordset(%(queues)s::json) AS said (
    name text, concurrency_limit integer, key_concurrency_limit integer, on_conflict text,
    rate_limit integer, rate_window_seconds float8, rate_per_key boolean, rate_on_limit text,
    max_length integer
)
WHERE NOT EXISTS (
    SELECT FROM jobs_queue AS known
    WHERE known.environment_id = %(environment_id)s AND known.name = said.name
)
ORDER BY name
ON CONFLICT (environment_id, name) DO NOTHING
