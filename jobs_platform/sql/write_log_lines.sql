-- Append log lines; those that are there already, because the reply to an earlier try was lost, stay
-- as they are. Arrays of one length: ids, run_ids, attempt_numbers, logged_at, levels, sources,
-- messages, fields (JSON or null); environment_id. Index: primary key.
INSERT INTO jobs_log_line (
    id, run_id, environment_id, attempt_number, logged_at, level, source, message, fields
)
SELECT id, run_id, %(environment_id)s, attempt_number, logged_at, level, source, message, fields::json
FROM unnest(
    %(ids)s::bigint[], %(run_ids)s::uuid[], %(attempt_numbers)s::smallint[],
    %(logged_at)s::timestamptz[], %(levels)s::text[], %(sources)s::text[], %(messages)s::text[],
    %(fields)s::text[]
) AS line (id, run_id, attempt_number, logged_at, level, source, message, fields)
ON CONFLICT (run_id, id) DO NOTHING
