"""`manage.py prune`: delete old final runs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import CommandParser
from django.db.models.functions import Now

from jobs_platform.domain.durations import to_text
from jobs_platform.domain.lifecycle import FINAL
from jobs_platform.engine import caller
from jobs_platform.engine.environments import environment_id
from jobs_platform.engine.line import Line
from jobs_platform.engine.prune import Pruned, prune
from jobs_platform.management.jobs_command import JobsCommand
from jobs_platform.management.options import seconds
from jobs_platform.models import Run
from jobs_platform.sdk.ports import configuration

CHUNK = 1_000
_DAY_SECONDS = 86_400.0


class Command(JobsCommand):
    """Delete final runs that ended long ago, a thousand in a transaction."""

    help = (
        "Delete runs that ended before the retention, with their attempts, timeline and log. "
        'Default: JOBS["RETENTION_DAYS"]. May be stopped and run again at any time, beside workers.'
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--older-than", metavar="DURATION", help="such as 30d")
        parser.add_argument("--dry-run", action="store_true", help="count only")
        parser.add_argument("--environment", metavar="SLUG", help="another than the configured one")
        self.add_common_arguments(parser)

    def run(self, **options: Any) -> None:
        given = seconds(options["older_than"], option="older-than")
        days = configuration().retention_days
        age = given if given is not None else days * _DAY_SECONDS if days is not None else None
        if age is None:
            self.terminal.emit(_result(None, Pruned(0, 0), is_dry_run=options["dry_run"]))
            self.terminal.say(
                'Runs are kept for ever (JOBS["RETENTION_DAYS"] is None). '
                "Say which ones are to go: --older-than 30d."
            )
            return
        known = environment_id(options["environment"])
        pruned = Pruned(_count(known, age), 0) if options["dry_run"] else self._prune(known, age)
        self.terminal.emit(_result(age, pruned, is_dry_run=options["dry_run"]))
        verb = "would go" if options["dry_run"] else "deleted"
        runs = "1 run" if pruned.runs == 1 else f"{pruned.runs:,} runs"
        self.terminal.say(f"{runs} older than {to_text(age)} {verb}.")

    def _prune(self, known: int, age: float) -> Pruned:
        runs = batches = 0
        older_than = timedelta(seconds=age)
        conninfo = caller.conninfo()
        with Line(conninfo, application_name="jobs prune") as line, self.terminal.live() as live:
            while True:
                done = prune(line, environment_id=known, older_than=older_than, limit=CHUNK)
                runs, batches = runs + done.runs, batches + done.batches
                if live is not None:
                    live.update(f"{runs:,} deleted")
                if done.runs < CHUNK:
                    return Pruned(runs, batches)


def _count(known: int, age: float) -> int:
    return Run.objects.filter(
        environment_id=known,
        status__in=FINAL,
        finished_at__lt=Now() - timedelta(seconds=age),
    ).count()


def _result(age: float | None, pruned: Pruned, *, is_dry_run: bool) -> dict[str, Any]:
    return {
        "older_than_seconds": age,
        "is_dry_run": is_dry_run,
        "runs": pruned.runs,
        "batches": pruned.batches,
    }
