-- Transactions of this database that have been open for long: they keep vacuum from clearing rows.
-- Parameters: seconds. Returns: pid, application_name, state, seconds open; the oldest first.
-- Locks: none. Index: none, a view of the server.
SELECT pid, application_name, coalesce(state, backend_type),
       extract(epoch FROM clock_timestamp() - xact_start)::float
FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
  AND xact_start < clock_timestamp() - make_interval(secs => %(seconds)s)
ORDER BY xact_start
