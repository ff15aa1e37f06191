"""`manage.py trigger`: one run, from the command line."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from jobs_platform.domain.lifecycle import Status
from jobs_platform.management import payload_argument, run_view
from jobs_platform.management.follow import follow
from jobs_platform.management.jobs_command import FAILED, JobsCommand, UsageError
from jobs_platform.management.options import add_trigger_options, seconds, trigger_options
from jobs_platform.sdk.handles import RunHandle, run_uuid
from jobs_platform.sdk.namespaces import tasks
from jobs_platform.sdk.ports import engine
from jobs_platform.sdk.values import Run


class Command(JobsCommand):
    """Trigger a run, and wait for it if asked to."""

    help = (
        "Trigger a run of TASK and print its id and address. With --wait its output goes to "
        "standard output (exit code 0 only when it COMPLETED); with --watch its moves and log "
        "lines are shown as they come. With --json one object; with --watch --json one object a "
        'line, each with a "type": triggered, event, log, run.'
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("task", help="the id of the task; `manage.py tasks` lists them")
        parser.add_argument(
            "--payload", metavar="JSON", help=f"{payload_argument.HELP} (default: null)"
        )
        parser.add_argument(
            "--wait", action="store_true", help="until it is over; print its output"
        )
        parser.add_argument(
            "--watch", action="store_true", help="show what it does until it is over"
        )
        parser.add_argument(
            "--timeout", metavar="DURATION", help="of --wait and --watch, as 30s or 1h; it goes on"
        )
        add_trigger_options(parser)
        self.add_common_arguments(parser)

    def run(self, **options: Any) -> int:
        timeout = seconds(options["timeout"], option="timeout")
        stays = options["wait"] or options["watch"]
        if timeout is not None and not stays:
            raise UsageError("--timeout belongs to --wait or --watch.")
        if options["payload"] == "-" and options["metadata"] == "-":
            raise UsageError("Standard input can be the payload or the metadata, not both.")
        payload = payload_argument.read_json(options["payload"], option="payload")
        handle = tasks.trigger(options["task"], payload, **trigger_options(options))
        if not stays:
            self._show_handle(handle)
            return 0
        try:
            run = self._stay(handle, timeout, is_watching=options["watch"])
        except KeyboardInterrupt:
            self.terminal.note(f"{handle.id} goes on: manage.py runs watch {handle.id}")
            raise
        return 0 if run.status is Status.COMPLETED else FAILED

    def _show_handle(self, handle: RunHandle) -> None:
        self.terminal.emit(_handle_json(handle))
        self.terminal.say(handle.id)
        if handle.url:
            self.terminal.say(handle.url)
        if handle.is_cached:
            self.terminal.note("No run was made: this one holds the key.")

    def _stay(self, handle: RunHandle, timeout: float | None, *, is_watching: bool) -> Run:
        self.terminal.note(f"{handle.id}  {handle.url or ''}".rstrip())
        if is_watching:
            self.terminal.emit({"type": "triggered", **_handle_json(handle)})
            run = run_view.watch_run(self.terminal, handle.id, timeout=timeout)
            self.terminal.emit({"type": "run", "run": run})
        else:
            for _ in follow(run_uuid(handle), timeout=timeout, has_logs=False):
                pass
            run = engine().retrieve(run_uuid(handle))
            self.terminal.emit(run)
        if not self.terminal.as_json:
            run_view.show_result(self.terminal, run)
        return run


def _handle_json(handle: RunHandle) -> dict[str, Any]:
    return {
        "id": handle.id,
        "task_id": handle.task_id,
        "url": handle.url,
        "is_cached": handle.is_cached,
    }
