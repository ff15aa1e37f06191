-- Store what a worker's code declares of its tasks; the newest worker wins.
-- Parameters: environment_id, tasks (JSON array, ascending by id, of id, name, description, file,
--   queue, machine, max_attempts, version, ttl_seconds, max_duration_seconds, payload_schema).
-- Locks: the changed definitions in id order; unchanged ones are left alone.
-- Index: jobs_task_definition_key.
WITH declared AS MATERIALIZED (
    SELECT * FROM json_to_recordset(%(tasks)s::json) AS task (
        id text, name text, description text, file text, queue text, machine text,
        max_attempts smallint, version text, ttl_seconds float8, max_duration_seconds float8,
        payload_schema jsonb
    )
)
INSERT INTO jobs_task_definition AS known (
    environment_id, task_id, name, description, file, queue, machine, max_attempts, version,
    ttl_seconds, max_duration_seconds, payload_schema
)
SELECT %(environment_id)s::smallint, id, coalesce(name, ''), coalesce(description, ''), file, queue, machine,
       max_attempts, version, ttl_seconds,
       max_duration_seconds, payload_schema
FROM declared ORDER BY id
ON CONFLICT (environment_id, task_id) DO UPDATE SET
    name = excluded.name, description = excluded.description, file = excluded.file,
    queue = excluded.queue, machine = excluded.machine, max_attempts = excluded.max_attempts,
    version = excluded.version, ttl_seconds = excluded.ttl_seconds,
    max_duration_seconds = excluded.max_duration_seconds, payload_schema = excluded.payload_schema, updated_at = now()
WHERE (known.name, known.description, known.file, known.queue, known.machine, known.max_attempts,
       known.version, known.ttl_seconds, known.max_duration_seconds, known.payload_schema)
    IS DISTINCT FROM
      (excluded.name, excluded.description, excluded.file, excluded.queue, excluded.machine,
       excluded.max_attempts, excluded.version, excluded.ttl_seconds, excluded.max_duration_seconds,
       excluded.payload_schema)
