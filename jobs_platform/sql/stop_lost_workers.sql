-- Workers whose lease ran out are gone for good: a process that still lives must register again.
-- Locks: their rows. Index: jobs_worker_live.
UPDATE jobs_worker SET stopped_at = now() WHERE stopped_at IS NULL AND lease_until < now()
