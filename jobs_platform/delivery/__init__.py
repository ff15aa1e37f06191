"""Celery: wake-ups, the one task and the beat scheduler. What is to be done stands in Postgres."""
