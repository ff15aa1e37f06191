-- Append log lines in their order. Arrays of one length: run_ids, attempt_numbers, logged_at, levels,
-- sources, messages, fields (JSON or null); environment_id.
INSERT INTO jobs_log_line (run_id, environment_id, attempt_number, logged_at, level, source, message, fields)
SELECT run_id, %(environment_id)s, attempt_number, logged_at, level, source, message, fields::json
FROM unnest(
    %(run_ids)s::uuid[], %(attempt_numbers)s::smallint[], %(logged_at)s::timestamptz[],
    %(levels)s::text[], %(sources)s::text[], %(messages)s::text[], %(fields)s::text[]
) WITH ORDINALITY AS line (run_id, attempt_number, logged_at, level, source, message, fields, position)
ORDER BY position
