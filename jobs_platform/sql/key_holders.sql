-- How many runs hold slots of concurrency keys, and some of them.
-- Parameters: environment_id, queue, keys (array), shown (at most so many runs of each).
-- Returns: key, holders (count), run_ids. Locks: none. Index: the primary key of jobs_slot.
SELECT wanted.key, count(slot.run_id), (array_agg(slot.run_id ORDER BY slot.run_id))[1:%(shown)s]
FROM unnest(%(keys)s::text[]) AS wanted (key)
JOIN jobs_slot AS slot
  ON slot.environment_id = %(environment_id)s AND slot.queue = %(queue)s AND slot.key = wanted.key
GROUP BY wanted.key
ORDER BY wanted.key
