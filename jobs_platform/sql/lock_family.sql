-- Lock a run and all of its descendants before they are cancelled.
-- Parameters: run_id. Returns: id, status, parents before children.
-- Locks: the runs in id order (a child is always younger than its parent).
-- Index: primary key, jobs_run_parent.
WITH RECURSIVE family AS (
    SELECT id FROM jobs_run WHERE id = %(run_id)s
    UNION
    SELECT child.id FROM jobs_run AS child JOIN family ON child.parent_id = family.id
)
SELECT run.id, run.status FROM jobs_run AS run
WHERE run.id IN (SELECT id FROM family)
ORDER BY run.id
FOR NO KEY UPDATE OF run
