-- Accept runs: one row and one event each, all or none but those whose key is held.
-- Parameters: environment_id, batch_id (or null), due_channel, is_allowed (it is known that the queues
--   are there and take them), items (JSON array of objects: id, task_id, payload, queue,
--   worker_queue, max_attempts; and where they differ from null, zero, empty or false: priority
--   (seconds), tags, metadata, is_test, task_version, parent_id, root_id, replay_of_id, delay
--   (seconds), delay_until, ttl and max_duration (seconds), key and further_keys (of concurrency),
--   weight (of its start), idempotency_key, held_key, key_ttl (seconds), debounce_key, longest
--   (seconds: it is not pushed back beyond)), queues (JSON array, each queue once: name, is_needed
--   (its row has to be there), is_limited, limits (what its row has to say)).
--   One document is read three times faster than arrays.
-- Returns one row: missing (queues that are needed and not there), strict (JSON: the queues that may
--   refuse a run), made (how many runs: none if queues are missing or strict, unless is_allowed),
--   waiting (queues whose runs wait for slots), claimable (JSON: how many runs by worker queue),
--   changed (queues whose row says something else).
-- Order: each item's queue time lies a microsecond after the one before, which is sooner than its row
--   is written; and the statement's time, not the transaction's, keeps the order of several triggers
--   in one transaction. Rows are written in the order of their keys.
-- Locks: none that another statement waits for (no foreign key is checked), but whoever triggers with
--   the same key at this moment.
-- Index: primary key of jobs_run, jobs_run_held_key, jobs_run_debounce, jobs_queue_key.
WITH item AS (
    SELECT * FROM ROWS FROM (
        json_to_recordset(%(items)s::json) AS (
            id uuid, task_id text, payload json, queue text, worker_queue text,
            max_attempts smallint, priority float8, tags text[], metadata jsonb, is_test boolean,
            task_version text, parent_id uuid, root_id uuid, replay_of_id uuid, delay float8,
            delay_until timestamptz, ttl float8, max_duration float8, key text,
            further_keys text[], weight smallint, idempotency_key text, held_key text,
            key_ttl float8, debounce_key text, longest float8
        )
    ) WITH ORDINALITY
), queue AS MATERIALIZED (
    SELECT said.name, known.max_length, known.on_conflict, known.rate_on_limit,
           known.is_limited IS TRUE OR said.is_limited IS TRUE AS is_limited,
           known.id IS NULL AND said.is_needed AS is_missing,
           known.max_length IS NOT NULL OR 'refuse' IN (known.on_conflict, known.rate_on_limit)
               AS is_strict,
           known.id IS NOT NULL AND NOT to_jsonb(known) @> said.limits AS is_changed
    FROM json_to_recordset(%(queues)s::json) AS said (
        name text, is_needed boolean, is_limited boolean, limits jsonb
    )
    LEFT JOIN jobs_queue AS known
      ON known.environment_id = %(environment_id)s AND known.name = said.name
), timed AS (
    SELECT item.*, due > statement_timestamp() AS is_timed,
           queue.is_limited OR key IS NOT NULL AS needs_slot,
           greatest(due, statement_timestamp()) + ordinality * interval '1 microsecond' AS due
    FROM item JOIN queue ON queue.name = item.queue CROSS JOIN LATERAL (
        SELECT coalesce(delay_until, statement_timestamp() + make_interval(secs => coalesce(delay, 0)))
    ) AS delayed (due)
    WHERE %(is_allowed)s OR NOT EXISTS (SELECT FROM queue WHERE is_missing OR is_strict)
), run AS (
    INSERT INTO jobs_run (
        id, environment_id, task_id, status, queue, worker_queue, priority_seconds, run_at, payload,
        metadata, tags, max_attempts, is_test, task_version, parent_id, root_id, batch_id,
        replay_of_id, is_timed, is_waiting, is_claimable, needs_slot, concurrency_key, further_keys,
        rate_weight, ttl_seconds, expires_at, max_duration_seconds, idempotency_key, held_key, key_expires_at,
        debounce_key, debounce_until
    )
    SELECT
        id, %(environment_id)s, task_id,
        CASE WHEN is_timed THEN $to_trigger_delayed ELSE $to_trigger END, queue, worker_queue,
        coalesce(priority, 0),
        due - CASE WHEN is_timed THEN interval '0' ELSE make_interval(secs => coalesce(priority, 0)) END,
        -- The recordset reads a null payload as none.
        coalesce(payload, 'null'), coalesce(metadata, '{}'), coalesce(tags, '{}'), max_attempts,
        coalesce(is_test, false), task_version, parent_id, root_id, %(batch_id)s::uuid,
        replay_of_id, is_timed, needs_slot AND NOT is_timed, NOT (needs_slot OR is_timed), needs_slot,
        coalesce(key, ''), coalesce(further_keys, '{}'), coalesce(weight, 1), ttl,
        CASE WHEN NOT is_timed THEN due + make_interval(secs => ttl) END, max_duration,
        idempotency_key, held_key, statement_timestamp() + make_interval(secs => key_ttl),
        debounce_key, statement_timestamp() + make_interval(secs => longest)
    FROM timed
    ORDER BY task_id COLLATE "C", held_key COLLATE "C", ordinality
    ON CONFLICT DO NOTHING
    RETURNING id, version, status, queue, worker_queue, run_at, is_timed, is_waiting, is_claimable
), event AS (
    INSERT INTO jobs_event (run_id, version, environment_id, move, attempt_number)
    SELECT id, version, %(environment_id)s,
           CASE status WHEN $to_trigger THEN 'trigger' ELSE 'trigger_delayed' END, 0 FROM run
)
SELECT
    (SELECT array_agg(name) FROM queue WHERE is_missing) AS missing,
    (SELECT json_agg(queue) FROM queue WHERE is_strict) AS strict,
    (SELECT count(*) FROM run) AS made,
    (SELECT array_agg(DISTINCT queue) FROM run WHERE is_waiting) AS waiting,
    (SELECT json_object_agg(worker_queue, count) FROM (
        SELECT worker_queue, count(*) FROM run WHERE is_claimable GROUP BY worker_queue
    ) AS counted) AS claimable,
    (SELECT array_agg(name) FROM queue WHERE is_changed) AS changed,
    (SELECT pg_notify(%(due_channel)s, '') FROM run
     WHERE is_timed AND run_at < statement_timestamp() + interval '1 second' LIMIT 1) AS was_told
