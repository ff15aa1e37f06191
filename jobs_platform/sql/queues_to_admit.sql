-- Queues whose rate limit lets the next run start now. Parameters: environment_id. Returns: name.
-- Locks: none. Index: jobs_queue_admit.
SELECT name FROM jobs_queue
WHERE environment_id = %(environment_id)s AND admit_at <= now() AND paused_at IS NULL
