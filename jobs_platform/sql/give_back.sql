-- Put claimed runs back into their queue as if they had not been claimed: no attempt is used.
-- Parameters: arrays of one length, ascending by run id: run_ids, tokens.
-- Returns: id, worker_queue of each run given back.
-- Locks: the runs in id order. Index: primary key.
WITH wanted AS MATERIALIZED (
    SELECT run.id, wanted.token FROM jobs_run AS run
    JOIN unnest(%(run_ids)s::uuid[], %(tokens)s::integer[]) AS wanted (run_id, token)
      ON run.id = wanted.run_id
    ORDER BY run.id
    FOR NO KEY UPDATE OF run
), returned AS (
    UPDATE jobs_run AS run SET
        status = $to_give_back,
        version = run.version + 1,
        is_claimable = true,
        attempt_number = run.attempt_number - 1,
        started_at = CASE WHEN run.attempt_number > 1 THEN run.started_at END,
        attempt_started_at = NULL,
        worker_id = NULL
    FROM wanted
    WHERE run.id = wanted.id
      AND run.status IN ($from_give_back)
      AND run.fencing_token = wanted.token
    RETURNING run.id, run.version, run.environment_id, run.attempt_number, run.worker_queue
), event AS (
    INSERT INTO jobs_event (run_id, version, environment_id, move, attempt_number)
    SELECT id, version, environment_id, 'give_back', attempt_number FROM returned
)
SELECT id, worker_queue FROM returned
