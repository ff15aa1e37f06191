-- Let the rows of queues say what the code says; an override of the limit stays.
-- Parameters: environment_id, queues (JSON array of name, concurrency_limit, key_concurrency_limit,
--   on_conflict, rate_limit, rate_window_seconds, rate_per_key, rate_on_limit, max_length).
-- Returns: name of each that was changed.
-- Locks: the queues that say something else, in name order. Index: jobs_queue_key.
WITH said AS MATERIALIZED (
    SELECT * FROM json_to_recordset(%(queues)s::json) AS said (
        name text, concurrency_limit integer, key_concurrency_limit integer, on_conflict text,
        rate_limit integer, rate_window_seconds float8, rate_per_key boolean, rate_on_limit text,
        max_length integer
    )
), held AS MATERIALIZED (
    SELECT queue.id FROM jobs_queue AS queue JOIN said ON said.name = queue.name
    WHERE queue.environment_id = %(environment_id)s AND NOT to_jsonb(queue) @> to_jsonb(said)
    ORDER BY queue.name
    FOR NO KEY UPDATE OF queue
)
UPDATE jobs_queue AS queue SET
    concurrency_limit = said.concurrency_limit,
    key_concurrency_limit = said.key_concurrency_limit,
    on_conflict = said.on_conflict,
    rate_limit = said.rate_limit,
    rate_window_seconds = said.rate_window_seconds,
    rate_per_key = said.rate_per_key,
    rate_on_limit = said.rate_on_limit,
    max_length = said.max_length
FROM held, said
WHERE queue.id = held.id AND queue.name = said.name
RETURNING queue.name
