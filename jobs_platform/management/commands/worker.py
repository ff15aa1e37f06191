"""`manage.py worker`: a Celery worker that executes runs, with the options that it should have."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from jobs_platform.celery import OWN_TASKS_QUEUE, WORKER_QUEUES, app
from jobs_platform.delivery.wakeups import list_name


class Command(BaseCommand):
    """Execute runs (and the project's own Celery tasks) until stopped."""

    help = (
        "Execute runs, and the project's own Celery tasks. SIGTERM lets running work finish up to "
        "SHUTDOWN_TIMEOUT_SECONDS and gives back the rest."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--pool",
            choices=["prefork", "threads", "solo"],
            default="prefork",
            help="prefork: a process for each slot, isolated and stoppable; threads: cheaper slots "
            "for work that waits for the network (default: prefork)",
        )
        parser.add_argument(
            "--concurrency", type=int, default=None, help="slots (default: one for each core)"
        )
        parser.add_argument(
            "--machine",
            action="append",
            choices=WORKER_QUEUES,
            help="execute only runs of this machine preset; repeatable (default: all)",
        )
        parser.add_argument("--loglevel", default="WARNING", help="of Celery (default: WARNING)")

    def handle(self, *args: Any, **options: Any) -> None:
        queues = [list_name(name) for name in options["machine"] or WORKER_QUEUES]
        if not options["machine"]:
            queues.append(OWN_TASKS_QUEUE)
        arguments = ["--quiet", "worker", "--pool", options["pool"], "--queues", ",".join(queues)]
        if options["concurrency"] is not None:
            arguments += ["--concurrency", str(options["concurrency"])]
        arguments += ["--loglevel", options["loglevel"]]
        arguments += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
        app.worker_main(arguments)
