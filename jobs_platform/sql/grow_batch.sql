-- Make a batch, or add to the count of one that is being streamed.
-- Parameters: id, environment_id, count. Locks: the batch. Index: primary key.
INSERT INTO jobs_batch (id, environment_id, run_count) VALUES (%(id)s, %(environment_id)s, %(count)s)
ON CONFLICT (id) DO UPDATE SET run_count = jobs_batch.run_count + excluded.run_count
