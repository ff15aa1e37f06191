-- Concurrency keys that some run has which is not over: it waits, is timed, or holds a slot.
-- Parameters: environment_id; arrays of one length: queues, keys. Returns: queue, key, run_id.
-- Locks: none. Index: the primary key of jobs_slot, jobs_run_waiting, jobs_run_timed_key.
SELECT wanted.queue, wanted.key, found.id
FROM unnest(%(queues)s::text[], %(keys)s::text[]) AS wanted (queue, key) CROSS JOIN LATERAL (
    (SELECT slot.run_id AS id FROM jobs_slot AS slot
     WHERE slot.environment_id = %(environment_id)s
       AND slot.queue = wanted.queue AND slot.key = wanted.key
     LIMIT 1)
    UNION ALL
    (SELECT run.id FROM jobs_run AS run
     WHERE run.environment_id = %(environment_id)s AND run.is_waiting
       AND run.queue = wanted.queue AND run.concurrency_key = wanted.key
     LIMIT 1)
    UNION ALL
    (SELECT run.id FROM jobs_run AS run
     WHERE run.environment_id = %(environment_id)s AND run.is_timed AND run.concurrency_key <> ''
       AND run.queue = wanted.queue AND run.concurrency_key = wanted.key
     LIMIT 1)
    LIMIT 1
) AS found
ORDER BY wanted.queue, wanted.key
