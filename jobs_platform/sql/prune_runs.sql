-- Delete final runs that ended long ago, oldest first, with events, attempts and log lines.
-- Parameters: environment_id, older_than_seconds, limit. Returns: how many runs.
-- Locks: the runs, skipping locked ones. Index: primary key (ids ascend with time, so the scan stops
--   at the first limit of old ones).
WITH old AS MATERIALIZED (
    SELECT id FROM jobs_run
    WHERE environment_id = %(environment_id)s
      AND id < encode(
          substring(int8send((extract(epoch FROM now()) * 1000)::bigint - (%(older_than_seconds)s * 1000)::bigint) FROM 3)
          || '\x00000000000000000000'::bytea, 'hex')::uuid
      AND status IN ($FINAL)
      AND finished_at < now() - make_interval(secs => %(older_than_seconds)s)
    ORDER BY id
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
), event AS (
    DELETE FROM jobs_event USING old WHERE run_id = old.id
), attempt AS (
    DELETE FROM jobs_attempt USING old WHERE run_id = old.id
), log_line AS (
    DELETE FROM jobs_log_line USING old WHERE run_id = old.id
), hook_call AS (
    DELETE FROM jobs_hook_call USING old WHERE run_id = old.id
), run AS (
    DELETE FROM jobs_run USING old WHERE jobs_run.id = old.id RETURNING jobs_run.id
)
SELECT count(*) FROM run
