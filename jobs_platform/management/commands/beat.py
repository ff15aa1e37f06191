"""`manage.py beat`: the clock, for schedules, retries, lost workers and missed wake-ups."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from jobs_platform.celery import app


class Command(BaseCommand):
    """Be a clock until stopped; any number may run."""

    help = (
        "The clock: fires schedules, wakes retries, recovers lost workers. Run one or several; "
        "PeriodicTask rows of django-celery-beat go on working."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--loglevel", default="WARNING", help="of Celery (default: WARNING)")

    def handle(self, *args: Any, **options: Any) -> None:
        app.Beat(
            loglevel=options["loglevel"],
            quiet=True,
            scheduler="jobs_platform.delivery.beat:JobsScheduler",
        ).run()
