-- A worker begins; its lease runs from now.
-- Parameters: environment_id, name, worker_queues, task_ids, pool, slots, lease_seconds. Returns: id.
INSERT INTO jobs_worker (
    environment_id, name, worker_queues, task_ids, pool, slots, lease_until
)
VALUES (%(environment_id)s, %(name)s, %(worker_queues)s, %(task_ids)s::text[], %(pool)s, %(slots)s,
        now() + make_interval(secs => %(lease_seconds)s))
RETURNING id
