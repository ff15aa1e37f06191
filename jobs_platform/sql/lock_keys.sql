-- Wait until nobody else triggers with these concurrency keys, to the end of the transaction.
-- Parameters: environment_id; arrays of one length: queues, keys.
-- Locks: an advisory lock for each key, in the order of their numbers. Taken only for queues that
--   refuse a busy key; whoever triggers with the same key waits for the caller's commit.
SELECT pg_advisory_xact_lock(number) FROM (
    SELECT DISTINCT hashtextextended(
        format('jobs %%s %%s %%s', %(environment_id)s::integer, queue, key), 0) AS number
    FROM unnest(%(queues)s::text[], %(keys)s::text[]) AS wanted (queue, key)
    ORDER BY number
) AS ordered
