-- A nominal time was fired; go on to the next. Parameters: id, fired_at, next_fire_at (or null).
-- Locks: the schedule, held already. Index: primary key.
UPDATE jobs_schedule SET last_fire_at = %(fired_at)s, next_fire_at = %(next_fire_at)s
WHERE id = %(id)s
