-- End attempts and claim the next runs, in one statement and so in one commit.
-- Parameters: worker_id, slot, previous_number (claim to forget), number (claim to write),
--   environment_id, worker_queue, low_water (timestamptz: claims look at run_at from here on),
--   limit (0: only finish), hook_worker_id (who calls final hooks, or null: anybody), due_channel;
--   outcomes (JSON array, ascending by run id, of run_id, token, move, status, attempt_status,
--   and where they are not null: output, error, delay (seconds until a retry), cpu_seconds,
--   peak_memory_bytes, is_hooked, event_data).
-- Returns: one row for each claimed run, or one row of nulls; the first row also has `finished`, the
--   ids whose write was accepted (the others outlived their attempt).
-- Notifies the clock of a retry that is due before it looks by itself; nothing else here does.
-- Locks: the finished runs in id order, then the claimed ones. `picked` reads `finished` so that the
--   claim waits for the finish; without it the two deadlock on a stale snapshot.
-- Index: finish by primary key (the row stays in its page: no indexed column changes); claim by
--   jobs_run_claimable from the low-water mark, past the entries that are dead already.
WITH outcome AS MATERIALIZED (
    SELECT * FROM json_to_recordset(%(outcomes)s::json) AS outcome (
        run_id uuid, token integer, move text, status text, attempt_status text, output json,
        error json, delay float8, cpu_seconds float8, peak_memory_bytes bigint, is_hooked boolean,
        event_data json
    )
), finished AS (
    UPDATE jobs_run AS run SET
        status = outcome.status,
        version = run.version + 1,
        is_claimable = outcome.status = $to_retry AND NOT run.needs_slot,
        is_timed = outcome.status = $to_retry AND run.needs_slot,
        held_key = CASE WHEN outcome.status NOT IN ($FAILURES) THEN run.held_key END,
        run_at = CASE WHEN outcome.status = $to_retry
                 THEN now() + make_interval(secs => outcome.delay) ELSE run.run_at END,
        output = outcome.output,
        error = outcome.error,
        finished_at = CASE WHEN outcome.status = $to_retry THEN NULL ELSE now() END
    FROM outcome
    WHERE run.id = outcome.run_id
      AND run.fencing_token = outcome.token
      AND run.status IN ($from_complete)
    RETURNING run.id, run.version, run.attempt_number, run.attempt_started_at, run.worker_id,
              run.worker_queue, run.environment_id, outcome.move, outcome.status,
              outcome.attempt_status, outcome.error, outcome.cpu_seconds,
              outcome.peak_memory_bytes, outcome.is_hooked, outcome.event_data, outcome.delay
), attempt AS (
    INSERT INTO jobs_attempt (
        run_id, number, environment_id, status, worker_id, started_at, finished_at, error,
        cpu_seconds, peak_memory_bytes
    )
    SELECT id, attempt_number, environment_id, attempt_status, worker_id, attempt_started_at, now(),
           error, cpu_seconds, peak_memory_bytes
    FROM finished
), finish_event AS (
    INSERT INTO jobs_event (run_id, version, environment_id, move, attempt_number, data)
    SELECT id, version, environment_id, move, attempt_number, event_data FROM finished
), hook_call AS (
    INSERT INTO jobs_hook_call (run_id, environment_id, worker_queue, worker_id, slot)
    SELECT id, environment_id, worker_queue, %(hook_worker_id)s::integer, %(slot)s
    FROM finished WHERE is_hooked AND status <> $to_retry
    ON CONFLICT (run_id) DO NOTHING
), forgotten AS (
    DELETE FROM jobs_claim
    WHERE worker_id = %(worker_id)s AND slot = %(slot)s AND number = %(previous_number)s
), picked AS MATERIALIZED (
    SELECT run.id FROM jobs_run AS run
    WHERE run.environment_id = %(environment_id)s
      AND run.worker_queue = %(worker_queue)s
      AND run.is_claimable
      AND run.run_at >= %(low_water)s::timestamptz
      AND run.run_at <= now()
      AND (run.expires_at IS NULL OR run.expires_at > now())
      AND run.queue <> ALL(ARRAY(
          SELECT name FROM jobs_queue
          WHERE environment_id = %(environment_id)s AND paused_at IS NOT NULL
      ))
      AND (SELECT count(*) FROM finished) >= 0
      AND EXISTS (
          SELECT FROM jobs_worker AS worker JOIN jobs_environment AS environment
            ON environment.id = worker.environment_id
          WHERE worker.id = %(worker_id)s AND worker.stopped_at IS NULL AND worker.lease_until > now()
            AND environment.paused_at IS NULL
      )
    ORDER BY run.run_at
    LIMIT %(limit)s
    FOR NO KEY UPDATE SKIP LOCKED
), claimed AS (
    UPDATE jobs_run AS run SET
        status = $to_claim,
        version = run.version + 1,
        is_claimable = false,
        fencing_token = run.fencing_token + 1,
        attempt_number = run.attempt_number + 1,
        worker_id = %(worker_id)s,
        error = NULL,
        expires_at = NULL,
        started_at = coalesce(run.started_at, now()),
        attempt_started_at = now()
    FROM picked
    WHERE run.id = picked.id AND run.status IN ($from_claim)
    RETURNING run.*
), claim_event AS (
    INSERT INTO jobs_event (run_id, version, environment_id, move, attempt_number)
    SELECT id, version, environment_id, 'claim', attempt_number FROM claimed
), claim AS (
    INSERT INTO jobs_claim (worker_id, slot, number, run_ids, fencing_tokens)
    SELECT %(worker_id)s, %(slot)s, %(number)s, array_agg(id ORDER BY run_at, id),
           array_agg(fencing_token ORDER BY run_at, id)
    FROM claimed HAVING count(*) > 0
)
SELECT
    CASE WHEN row_number() OVER () = 1 THEN (SELECT array_agg(id) FROM finished) END AS finished,
    (SELECT pg_notify(%(due_channel)s, '') FROM finished
     WHERE status = $to_retry AND delay < 1 LIMIT 1) AS clock_was_told,
    id, fencing_token, task_id, payload::text,
    attempt_number, max_attempts, queue, worker_queue,
    priority_seconds, tags, metadata::text, is_test,
    task_version, version, created_at, started_at,
    attempt_started_at, parent_id, root_id, batch_id,
    replay_of_id, schedule_id, max_duration_seconds,
    needs_slot, concurrency_key, further_keys, idempotency_key, run_at
FROM (SELECT) AS always LEFT JOIN claimed ON true
