-- Hook calls that a slot was to make may be made by any worker: it is dead, or knows nothing of them.
-- Parameters: worker_id, slot, known (run ids that stay with the slot).
-- Locks: the calls. Index: none, the table holds only what is owed.
UPDATE jobs_hook_call SET worker_id = NULL, slot = NULL
WHERE worker_id = %(worker_id)s AND slot = %(slot)s AND run_id <> ALL(%(known)s::uuid[])
