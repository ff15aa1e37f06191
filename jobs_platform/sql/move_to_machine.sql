-- Have the next attempts of a run execute on another machine; the live attempt goes on.
-- Parameters: run_id, token, machine (a worker queue). Returns: nothing.
-- Locks: the run. Index: primary key (no entry of the claimable index exists while it executes).
UPDATE jobs_run AS run SET worker_queue = %(machine)s
WHERE run.id = %(run_id)s AND run.fencing_token = %(token)s AND run.status = $EXECUTING
