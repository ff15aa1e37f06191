-- Cancel runs that `lock_family` has locked; final ones are left alone.
-- Parameters: run_ids (ascending), message (the reason, as the error of the runs), event_data (JSON:
--   the reason, the run that was asked for).
-- Returns: id, fencing_token, worker_id (null unless an attempt is live), worker_queue.
-- Hook calls: made by the slot that holds the live attempt, else by any.
-- Locks: the runs, held already. Index: primary key.
WITH held AS MATERIALIZED (
    SELECT id, status FROM jobs_run WHERE id = ANY(%(run_ids)s::uuid[])
), cancelled AS (
    UPDATE jobs_run AS run SET
        status = $to_cancel,
        version = run.version + 1,
        is_claimable = false,
        is_waiting = false,
        is_timed = false,
        expires_at = NULL,
        debounce_key = NULL,
        error = json_build_object('name', 'Cancelled', 'message', %(message)s::text),
        finished_at = now()
    FROM held
    WHERE run.id = held.id AND run.status IN ($from_cancel)
    RETURNING run.id, run.version, run.environment_id, run.attempt_number, run.fencing_token,
              run.worker_queue,
              CASE WHEN held.status = $EXECUTING THEN run.worker_id END AS worker_id
), event AS (
    INSERT INTO jobs_event (run_id, version, environment_id, move, attempt_number, data)
    SELECT id, version, environment_id, 'cancel', attempt_number, %(event_data)s::json FROM cancelled
), hook_call AS (
    INSERT INTO jobs_hook_call (run_id, environment_id, worker_queue, worker_id, slot)
    SELECT id, environment_id, worker_queue, worker_id, (
        SELECT claim.slot FROM jobs_claim AS claim
        WHERE claim.worker_id = cancelled.worker_id
          AND (cancelled.id, cancelled.fencing_token)
              IN (SELECT * FROM unnest(claim.run_ids, claim.fencing_tokens))
    ) FROM cancelled
    ON CONFLICT (run_id) DO NOTHING
)
SELECT id, fencing_token, worker_id, worker_queue FROM cancelled
