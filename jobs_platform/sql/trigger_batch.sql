-- Accept runs: one row and one event each, all or none.
-- Parameters: environment_id, batch_id (or null); arrays of one length: ids, task_ids, payloads,
--   queues, worker_queues, priorities (seconds), tags (JSON arrays or null), metadata (JSON or null),
--   max_attempts, are_tests, task_versions, parent_ids, root_ids.
-- Order: the queue time of the later items of a batch lies a microsecond behind the one before.
-- Locks: none that another statement waits for (no foreign key is checked).
-- Index: primary key of jobs_run; jobs_run_claimable grows by one entry each.
WITH item AS (
    SELECT * FROM unnest(
        %(ids)s::uuid[], %(task_ids)s::text[], %(payloads)s::text[], %(queues)s::text[],
        %(worker_queues)s::text[], %(priorities)s::float8[], %(tags)s::text[], %(metadata)s::text[],
        %(max_attempts)s::smallint[], %(are_tests)s::boolean[], %(task_versions)s::text[],
        %(parent_ids)s::uuid[], %(root_ids)s::uuid[]
    ) WITH ORDINALITY AS item (
        id, task_id, payload, queue, worker_queue, priority, tags, metadata, max_attempts, is_test,
        task_version, parent_id, root_id, position
    )
), run AS (
    INSERT INTO jobs_run (
        id, environment_id, task_id, status, queue, worker_queue, priority_seconds, run_at, payload,
        metadata, tags, max_attempts, is_test, task_version, parent_id, root_id, batch_id
    )
    SELECT
        id, %(environment_id)s, task_id, $to_trigger, queue, worker_queue, priority,
        now() - make_interval(secs => priority) - (cardinality(%(ids)s::uuid[]) - position) * interval '1 microsecond',
        payload::json, coalesce(metadata::jsonb, '{}'),
        CASE WHEN tags IS NULL THEN '{}'
             ELSE ARRAY(SELECT json_array_elements_text(tags::json)) END,
        max_attempts, is_test, task_version, parent_id, root_id, %(batch_id)s::uuid
    FROM item
    ORDER BY position
    RETURNING id, version
)
INSERT INTO jobs_event (run_id, version, environment_id, move, attempt_number)
SELECT id, version, %(environment_id)s, 'trigger', 0 FROM run
