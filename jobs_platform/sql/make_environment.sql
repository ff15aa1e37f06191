-- Make an environment, or find the one that another process has just made.
-- Parameters: slug. Returns: id. Locks: the row. Index: its unique slug.
INSERT INTO jobs_environment (slug) VALUES (%(slug)s)
ON CONFLICT (slug) DO UPDATE SET slug = excluded.slug
RETURNING id
