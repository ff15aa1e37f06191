"""`manage.py dev`: everything that development needs, in one terminal."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser
from rich.text import Text

from jobs_platform.engine import read
from jobs_platform.management.development import Development, Plan, started
from jobs_platform.management.jobs_command import JobsCommand, UsageError
from jobs_platform.management.servers import default_data_dir, without_password

MAX_WORKERS = 64


class Command(JobsCommand):
    """Servers, web, workers and beat until Ctrl-C."""

    help = (
        "Start Postgres and Valkey (unless DATABASE_URL and REDIS_URL are set), web, worker and "
        "beat in this terminal, with reload on save. Prints the dashboard's address and a login "
        "link. Ctrl-C or SIGTERM stops everything, exit code 0."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--port", type=int, help="the web's port (default: 8000 or the next free)"
        )
        parser.add_argument(
            "--data-dir", type=Path, metavar="DIR", help="where the servers keep their data (.jobs)"
        )
        parser.add_argument(
            "--workers", type=int, default=1, metavar="N", help="worker processes (1)"
        )
        parser.add_argument(
            "--tasks", type=Path, action="append", default=[], metavar="DIR",
            help="one more folder of tasks; may be given several times",
        )  # fmt: skip
        parser.add_argument("--no-reload", action="store_true", help="do not watch for saved files")
        parser.add_argument(
            "--debug", action="store_true",
            help="one worker that has this terminal, one run at a time: breakpoint() works",
        )  # fmt: skip
        parser.add_argument(
            "--json", action="store_true", dest="as_json",
            help="print one line of JSON when ready (url, database_url, redis_url, login_url); "
            "children write into the data folder's logs",
        )  # fmt: skip

    def run(self, **options: Any) -> None:
        plan = _plan(options)
        self.terminal.note(f"Starting in {plan.data_dir} …")
        begun = time.monotonic()
        with started(plan, self.terminal) as development:
            development.run(lambda: self._announce(development, begun))

    def _announce(self, development: Development, begun: float) -> None:
        development.wait_until_ready()
        servers = development.servers
        login_url = development.login_url()
        self.terminal.emit(
            {
                "url": f"{development.url}/",
                "database_url": servers.database_url,
                "redis_url": servers.redis_url,
                "login_url": login_url,
            }
        )
        self.terminal.say()
        seconds = f"{time.monotonic() - begun:.1f} s"
        self.terminal.say(Text.assemble(("Ready", "bold green"), (f" after {seconds}", "dim")))
        self.terminal.pairs(
            [
                ("Dashboard", f"{development.url}/"),
                ("Log in with", login_url),
                ("Database", without_password(servers.database_url)),
                ("Redis", without_password(servers.redis_url)),
                ("Tasks", ", ".join(read.known_tasks()) or "none found: put some into tasks/"),
                ("Stop with", "Ctrl-C"),
            ]
        )
        self.terminal.say()


def _plan(options: dict[str, Any]) -> Plan:
    if not 1 <= options["workers"] <= MAX_WORKERS:
        raise UsageError(f"--workers {options['workers']} is not between 1 and {MAX_WORKERS}.")
    if options["debug"] and (options["as_json"] or options["workers"] > 1):
        raise UsageError(
            "--debug gives the terminal to one worker: leave out --json and --workers."
        )
    return Plan(
        data_dir=(options["data_dir"] or default_data_dir()).absolute(),
        port=options["port"],
        workers=options["workers"],
        task_folders=tuple(_task_folder(folder) for folder in options["tasks"]),
        reloads=not options["no_reload"] and not options["debug"],
        is_debugging=options["debug"],
        is_quiet=options["as_json"],
    )


def _task_folder(folder: Path) -> Path:
    if not folder.is_dir():
        raise UsageError(f"--tasks {folder}: there is no such folder.")
    if "," in str(folder):
        raise UsageError(f"--tasks {folder}: the name of the folder must not contain a comma.")
    return folder.resolve()
