-- Queues as people see them: their limits, who changed them, and how many runs they hold.
-- Parameters: environment_id, names (array, or null: any), after (only names behind this one), limit,
--   most (runs are counted up to so many).
-- Returns, in name order: name, concurrency_limit, key_concurrency_limit, override_limit,
--   overridden_at, overridden_by, paused_at, paused_by, on_conflict, rate_limit,
--   rate_window_seconds, rate_per_key, rate_on_limit, max_length, admit_at, running (live attempts),
--   slots_in_use, waiting, claimable; those that have no row but runs are not there.
-- Locks: none. Index: jobs_queue_key, jobs_run_waiting (read by itself), jobs_run_claimable, primary
--   keys of jobs_slot and jobs_run. Claimable runs have no index by queue: up to `most` are looked at.
WITH known AS MATERIALIZED (
    SELECT queue.* FROM jobs_queue AS queue
    WHERE queue.environment_id = %(environment_id)s
      AND (%(names)s::text[] IS NULL OR queue.name = ANY(%(names)s::text[]))
      AND queue.name > %(after)s
    ORDER BY queue.name
    LIMIT %(limit)s
), claimable AS MATERIALIZED (
    SELECT run.queue, count(*) AS count FROM (
        SELECT queue FROM jobs_run
        WHERE environment_id = %(environment_id)s AND is_claimable LIMIT %(most)s
    ) AS run
    GROUP BY run.queue
), executing AS MATERIALIZED (
    SELECT run.queue, count(*) AS count
    FROM jobs_claim AS claim
    CROSS JOIN LATERAL unnest(claim.run_ids, claim.fencing_tokens) AS held (run_id, token)
    JOIN jobs_run AS run ON run.id = held.run_id AND run.fencing_token = held.token
    WHERE run.environment_id = %(environment_id)s AND run.status = $EXECUTING
    GROUP BY run.queue
)
SELECT
    known.name, known.concurrency_limit, known.key_concurrency_limit, known.override_limit,
    known.overridden_at, known.overridden_by, known.paused_at, known.paused_by, known.on_conflict,
    known.rate_limit, known.rate_window_seconds, known.rate_per_key, known.rate_on_limit,
    known.max_length, known.admit_at,
    coalesce(executing.count, 0) AS running,
    (SELECT count(*) FROM jobs_slot AS slot
     WHERE slot.environment_id = known.environment_id AND slot.queue = known.name AND slot.key = '')
        AS slots_in_use,
    (SELECT count(*) FROM (
        SELECT FROM jobs_run AS run
        WHERE run.environment_id = known.environment_id AND run.queue = known.name AND run.is_waiting
        LIMIT %(most)s
    ) AS run) AS waiting,
    coalesce(claimable.count, 0) AS claimable
FROM known
LEFT JOIN claimable ON claimable.queue = known.name
LEFT JOIN executing ON executing.queue = known.name
ORDER BY known.name
