-- Tell listeners, at the commit. Parameters: channel, payload.
SELECT pg_notify(%(channel)s, %(payload)s)
