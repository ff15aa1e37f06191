-- Pause an environment (no claim takes any of its runs from the commit on), or end its pause.
-- Parameters: environment_id, is_paused, by. Returns: paused_at, paused_by as they are now.
-- Locks: the environment's row. Index: primary key.
UPDATE jobs_environment SET
    paused_at = CASE WHEN %(is_paused)s THEN coalesce(paused_at, now()) END,
    paused_by = CASE WHEN NOT %(is_paused)s THEN ''
                     WHEN paused_at IS NULL THEN %(by)s ELSE paused_by END
WHERE id = %(environment_id)s
RETURNING paused_at, paused_by
