"""Celery with django-celery-results, as Django projects have it: every result stored, tracked."""

from __future__ import annotations

import django
from django.core.management import call_command
from django.db import connection

from benchmarks.contenders import celery as plain

django.setup()

app = plain.app
app.config_from_object("django.conf:settings", namespace="CELERY")


class Producer(plain.Producer):
    """Results are rows of one table."""

    def prepare(self) -> None:
        call_command("migrate", verbosity=0)
        connection.close()

    def unfinished(self) -> int:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM django_celery_results_taskresult WHERE status <> 'SUCCESS'"
            )
            return int(cursor.fetchone()[0])
