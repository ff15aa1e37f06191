-- Give free slots of a queue to runs that wait; see `jobs_admit.sql`. Not inside a larger transaction.
-- Parameters: environment_id, queue, at_most, freed (array of keys, or null: any).
-- Returns: worker_queue, count. Locks: the queue's row, the admitted runs.
SELECT in_worker_queue, admitted
FROM jobs_admit(%(environment_id)s::integer, %(queue)s::text, %(at_most)s::integer, %(freed)s::text[])
