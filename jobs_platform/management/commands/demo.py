"""`manage.py demo`: the example import, live, on a stack of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser
from django.urls import NoReverseMatch, reverse

from jobs_platform.domain.lifecycle import Status
from jobs_platform.management import run_view
from jobs_platform.management.development import Development, Plan, started
from jobs_platform.management.follow import follow
from jobs_platform.management.jobs_command import FAILED, JobsCommand
from jobs_platform.management.servers import default_data_dir
from jobs_platform.sdk.handles import RunHandle, run_uuid
from jobs_platform.sdk.namespaces import tasks
from jobs_platform.sdk.ports import engine
from jobs_platform.sdk.values import Run

TASK_ID = "import-csv"


class Command(JobsCommand):
    """Servers, web, worker and beat; then one run of the example, shown as it goes."""

    help = (
        f"Start everything as `dev` does, run the example task {TASK_ID} and show its log and its "
        "output. Stays up for the browser until Ctrl-C; with --once it stops after the output, "
        "exit code 0 only when the run COMPLETED. With --json one line when the run is over."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="stop after the run")
        parser.add_argument("--port", type=int, help="the web's port (8000 or the next free one)")
        parser.add_argument(
            "--data-dir", type=Path, metavar="DIR", help="where the servers keep their data (.jobs)"
        )
        self.add_common_arguments(parser)

    def run(self, **options: Any) -> int:
        data_dir = (options["data_dir"] or default_data_dir()).absolute()
        plan = Plan(data_dir=data_dir, port=options["port"], is_quiet=True)
        self.terminal.note(f"Starting Postgres, Valkey, web, worker and beat in {data_dir} …")
        finished: list[Run] = []
        with started(plan, self.terminal) as development:
            development.run(lambda: self._tell(development, finished, once=options["once"]))
        if not options["once"]:
            return 0
        return 0 if finished and finished[0].status is Status.COMPLETED else FAILED

    def _tell(self, development: Development, finished: list[Run], *, once: bool) -> None:
        development.wait_until_ready()
        handle = tasks.trigger(TASK_ID, {})
        self.terminal.note(f"Triggered {TASK_ID}: {handle.id}")
        run = self._follow(handle)
        finished.append(run)
        login_url = development.login_url(next_path=_page(handle))
        self.terminal.emit({"run": run, "url": f"{development.url}/", "login_url": login_url})
        if not self.terminal.as_json:
            run_view.show_result(self.terminal, run)
        if once:
            development.stop()
            return
        self.terminal.say()
        self.terminal.pairs(
            [
                ("Dashboard", f"{development.url}/"),
                ("See the run", login_url),
                ("Stop with", "Ctrl-C"),
            ]
        )

    def _follow(self, handle: RunHandle) -> Run:
        if not self.terminal.as_json:
            return run_view.watch_run(self.terminal, handle.id)
        for _ in follow(run_uuid(handle), has_logs=False):
            pass
        return engine().retrieve(run_uuid(handle))


def _page(handle: RunHandle) -> str | None:
    """The run's page in the admin, where the project has one."""
    try:
        return reverse("admin:jobs_run_change", args=[run_uuid(handle)])
    except NoReverseMatch:
        return None
