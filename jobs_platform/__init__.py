"""Jobs Platform: durable background jobs for Django and Celery."""
