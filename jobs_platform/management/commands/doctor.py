"""`manage.py doctor`: is everything as it should be, and what to do if it is not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandParser
from rich.text import Text

from jobs_platform.domain.errors import JobsError
from jobs_platform.engine.environments import environment_id
from jobs_platform.management.checkup import broker, code, database
from jobs_platform.management.checkup.finding import Finding, Level, problem
from jobs_platform.management.checkup.fleet import Fleet, check_fleet
from jobs_platform.management.jobs_command import FAILED, JobsCommand

_MARKS = {
    Level.OK: Text("✓", style="green"),
    Level.WARN: Text("!", style="yellow"),
    Level.PROBLEM: Text("✗", style="red"),
}


class Command(JobsCommand):
    """Compare Postgres, Redis, the workers and the code."""

    help = (
        "Compare Postgres, Redis, workers and code, and say in words what is wrong and how to mend "
        "it. Changes nothing. Exit code 1 when there is a problem (a warning is none)."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        self.add_common_arguments(parser)

    def run(self, **_options: Any) -> int:
        findings = []
        for finding in _findings():
            findings.append(finding)
            self._show(finding)
        count = sum(finding.level is Level.PROBLEM for finding in findings)
        self.terminal.emit({"is_healthy": not count, "findings": findings})
        self.terminal.say()
        if count:
            self.terminal.say(f"{count} problem{'s' * (count != 1)}.", style="bold red")
        else:
            self.terminal.say("All is well.", style="bold green")
        return FAILED if count else 0

    def _show(self, finding: Finding) -> None:
        line = (_MARKS[finding.level], " ", (finding.check.ljust(13), "bold"), finding.what)
        self.terminal.say(Text.assemble(*line))
        if finding.mend:
            self.terminal.say(f"{' ' * 15}{finding.mend}", style="cyan")


def _findings() -> Iterator[Finding]:
    """All checks, each only when what it needs is there."""
    yield from code.check_modules()
    reachable = database.check_reachable()
    yield reachable
    served: set[str] = set()
    if reachable.level is Level.OK:
        migrated = database.check_migrated()
        yield migrated
        try:
            known = environment_id()
            fleet = Fleet(known)
            served = fleet.served
            yield from database.check_details()
            yield from code.check_registered(known)
            yield from check_fleet(fleet)
        except JobsError as error:
            if migrated.level is Level.OK:
                yield problem("database", str(error), mend="Run `manage.py doctor` again.")
    yield from broker.check_broker(served=served)
