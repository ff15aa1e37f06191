-- Store what a worker's code declares: tasks and their queues; the newest worker wins.
-- Parameters: environment_id, tasks (JSON array, ascending by id, of id, name, description, file,
--   queue, machine, max_attempts, version, payload_schema, concurrency_limit, key_concurrency_limit).
-- A queue's limits are those of the task that states some; another may only name the queue.
-- Locks: the changed definitions in id order; unchanged ones are left alone.
-- Index: jobs_task_definition_key, jobs_queue_key.
WITH declared AS MATERIALIZED (
    SELECT * FROM json_to_recordset(%(tasks)s::json) AS task (
        id text, name text, description text, file text, queue text, machine text,
        max_attempts smallint, version text, payload_schema jsonb, concurrency_limit integer,
        key_concurrency_limit integer
    )
), queue AS (
    INSERT INTO jobs_queue (environment_id, name, concurrency_limit, key_concurrency_limit)
    SELECT DISTINCT ON (queue) %(environment_id)s::smallint, queue, concurrency_limit, key_concurrency_limit
    FROM declared
    ORDER BY queue, concurrency_limit IS NULL AND key_concurrency_limit IS NULL, id
    ON CONFLICT (environment_id, name) DO UPDATE SET
        concurrency_limit = excluded.concurrency_limit,
        key_concurrency_limit = excluded.key_concurrency_limit
    WHERE (jobs_queue.concurrency_limit, jobs_queue.key_concurrency_limit)
        IS DISTINCT FROM (excluded.concurrency_limit, excluded.key_concurrency_limit)
)
INSERT INTO jobs_task_definition AS known (
    environment_id, task_id, name, description, file, queue, machine, max_attempts, version,
    payload_schema
)
SELECT %(environment_id)s::smallint, id, coalesce(name, ''), coalesce(description, ''), file, queue, machine,
       max_attempts, version, payload_schema
FROM declared ORDER BY id
ON CONFLICT (environment_id, task_id) DO UPDATE SET
    name = excluded.name, description = excluded.description, file = excluded.file,
    queue = excluded.queue, machine = excluded.machine, max_attempts = excluded.max_attempts,
    version = excluded.version, payload_schema = excluded.payload_schema, updated_at = now()
WHERE (known.name, known.description, known.file, known.queue, known.machine, known.max_attempts,
       known.version, known.payload_schema)
    IS DISTINCT FROM
      (excluded.name, excluded.description, excluded.file, excluded.queue, excluded.machine,
       excluded.max_attempts, excluded.version, excluded.payload_schema)
