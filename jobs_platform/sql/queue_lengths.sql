-- How many runs wait in queues, for a slot or for a worker; counted up to a limit.
-- Parameters: environment_id; arrays of one length: queues, limits. Returns: queue, length.
-- Locks: none. Index: jobs_run_waiting, the primary keys of jobs_slot and jobs_run.
SELECT wanted.queue, (
    SELECT count(*) FROM (
        SELECT FROM jobs_run AS run
        WHERE run.environment_id = %(environment_id)s AND run.is_waiting AND run.queue = wanted.queue
        LIMIT wanted.most
    ) AS waiting
) + (
    SELECT count(*) FROM (
        SELECT FROM jobs_slot AS slot JOIN jobs_run AS run ON run.id = slot.run_id
        WHERE slot.environment_id = %(environment_id)s AND slot.queue = wanted.queue
          AND slot.key = '' AND run.is_claimable
        LIMIT wanted.most
    ) AS admitted
) AS length
FROM unnest(%(queues)s::text[], %(limits)s::integer[]) AS wanted (queue, most)
ORDER BY wanted.queue
