-- Add tags to a run, each once, in the order in which they came.
-- Parameters: run_id, tags. Returns: tags. Locks: the run. Index: primary key.
UPDATE jobs_run AS run SET
    version = run.version + 1,
    tags = run.tags || ARRAY(
        SELECT new.tag FROM unnest(%(tags)s::text[]) WITH ORDINALITY AS new (tag, position)
        WHERE new.tag <> ALL (run.tags) GROUP BY new.tag ORDER BY min(new.position)
    )
WHERE run.id = %(run_id)s
RETURNING run.tags
