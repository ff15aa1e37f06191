-- Queues and keys whose runs wait for a slot, and whether each might get one now.
-- Parameters: environment_id, after_queue and after_key (go on behind them), limit.
-- Returns: queue, key, has_room, in their order; fewer than `limit` rows: those were the last ones.
-- Locks: none; admission looks again under its lock. A rate limit and further keys are its affair.
-- Index: jobs_run_waiting read loosely, one step for each key; jobs_queue_key; the primary key of
--   jobs_slot.
WITH RECURSIVE line AS (
    (SELECT queue, concurrency_key, run_at, 1 AS number FROM jobs_run
     WHERE environment_id = %(environment_id)s AND is_waiting
       AND (queue, concurrency_key) > (%(after_queue)s::text, %(after_key)s::text)
     ORDER BY queue, concurrency_key, run_at, id LIMIT 1)
    UNION ALL
    SELECT further.queue, further.concurrency_key, further.run_at, line.number + 1
    FROM line CROSS JOIN LATERAL (
        SELECT run.queue, run.concurrency_key, run.run_at FROM jobs_run AS run
        WHERE run.environment_id = %(environment_id)s AND run.is_waiting
          AND (run.queue, run.concurrency_key) > (line.queue, line.concurrency_key)
        ORDER BY run.queue, run.concurrency_key, run.run_at, run.id LIMIT 1
    ) AS further
    WHERE line.number < %(limit)s
), open AS MATERIALIZED (
    SELECT known.name, coalesce(known.key_concurrency_limit, 1) AS key_limit
    FROM jobs_queue AS known CROSS JOIN LATERAL (
        SELECT coalesce(known.override_limit, known.concurrency_limit) AS limit
    ) AS effective
    WHERE known.environment_id = %(environment_id)s
      AND known.name IN (SELECT queue FROM line)
      AND known.paused_at IS NULL
      AND (effective.limit IS NULL OR effective.limit > (
          SELECT count(*) FROM jobs_slot AS slot
          WHERE slot.environment_id = known.environment_id AND slot.queue = known.name
            AND slot.key = '' AND slot.attempt_number IS NULL
      ))
)
SELECT line.queue, line.concurrency_key, open.name IS NOT NULL AND line.run_at <= now() AND (
    line.concurrency_key = '' OR open.key_limit > (
        SELECT count(*) FROM jobs_slot AS slot
        WHERE slot.environment_id = %(environment_id)s AND slot.queue = line.queue
          AND slot.key = line.concurrency_key
    )
) AS has_room
FROM line LEFT JOIN open ON open.name = line.queue
ORDER BY line.number
