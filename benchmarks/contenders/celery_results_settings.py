"""The settings of a small Django project that keeps Celery's results."""

from __future__ import annotations

import os

from jobs_platform.settings import database_settings

SECRET_KEY = os.environ["DJANGO_SECRET_KEY"]
DATABASES = {"default": database_settings(os.environ["DATABASE_URL"])}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = ["django_celery_results"]
USE_TZ = True

CELERY_BROKER_URL = os.environ["REDIS_URL"]
CELERY_RESULT_BACKEND = "django-db"
CELERY_TASK_TRACK_STARTED = True
