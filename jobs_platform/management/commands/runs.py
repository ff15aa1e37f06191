"""`manage.py runs`: list, show, explain, watch, cancel and replay runs."""

from __future__ import annotations

from argparse import SUPPRESS
from functools import partial
from typing import Any

from django.core.management.base import CommandParser

from jobs_platform.domain.errors import JobsError
from jobs_platform.domain.lifecycle import Status
from jobs_platform.management import payload_argument, run_page, run_view
from jobs_platform.management.jobs_command import FAILED, JobsCommand
from jobs_platform.management.options import seconds
from jobs_platform.sdk.runs import SAME_PAYLOAD, runs


class Command(JobsCommand):
    """Look at runs and move them; without a word more, list them."""

    help = "List, show, explain, watch, cancel and replay runs. `runs` alone lists the newest."

    def add_arguments(self, parser: CommandParser) -> None:
        self.add_common_arguments(parser)
        _add_list_options(parser, limit=50)
        actions = parser.add_subparsers(
            dest="action", metavar="list|show|explain|watch|cancel|replay"
        )
        listing = actions.add_parser("list", help="the newest runs, filtered")
        _add_list_options(listing, default=SUPPRESS, limit=SUPPRESS)
        show = actions.add_parser("show", help="one run: timeline, attempts, log, output or error")
        show.add_argument("run", metavar="RUN")
        show.add_argument(
            "--lines", type=int, default=20, metavar="N", help="of the log, the last ones (20)"
        )
        explain = actions.add_parser("explain", help="why a run does not execute just now")
        explain.add_argument("run", metavar="RUN")
        watch = actions.add_parser("watch", help="follow a run; exit code 0 when it COMPLETED")
        watch.add_argument("run", metavar="RUN")
        watch.add_argument("--timeout", metavar="DURATION", help="give up after this, as 30s")
        cancel = actions.add_parser("cancel", help="cancel runs and their children")
        cancel.add_argument("runs", metavar="RUN", nargs="+")
        cancel.add_argument("--reason", help="is shown on the run")
        replay = actions.add_parser("replay", help="trigger a run again")
        replay.add_argument("run", metavar="RUN")
        replay.add_argument(
            "--payload", metavar="JSON", help=f"another one: {payload_argument.HELP}"
        )
        for action in (listing, show, explain, watch, cancel, replay):
            self.add_common_arguments(action, default=SUPPRESS)

    def run(self, **options: Any) -> int:
        actions = {
            "list": self._list,
            "show": self._show,
            "explain": self._explain,
            "watch": self._watch,
            "cancel": self._cancel,
            "replay": self._replay,
        }
        return actions[options["action"] or "list"](options)

    def _list(self, options: dict[str, Any]) -> int:
        names = ("status", "task", "tag", "queue", "limit", "before", "environment")
        found = runs.list(**{name: options[name] for name in names if options[name] is not None})
        older = found[-1].id if len(found) == options["limit"] else None
        self.terminal.emit({"runs": found, "before": older})
        rows = [run_view.table_row(run) for run in found]
        self.terminal.table(run_view.COLUMNS, rows, empty="No runs.")
        if older:
            self.terminal.note(f"Older ones: --before {older}")
        return 0

    def _show(self, options: dict[str, Any]) -> int:
        run_page.show_run(self.terminal, options["run"], lines=options["lines"])
        return 0

    def _explain(self, options: dict[str, Any]) -> int:
        explanation = runs.explain(options["run"])
        self.terminal.emit(explanation)
        run_page.show_explanation(self.terminal, explanation)
        return 0

    def _watch(self, options: dict[str, Any]) -> int:
        timeout = seconds(options["timeout"], option="timeout")
        run = run_view.watch_run(self.terminal, options["run"], timeout=timeout)
        self.terminal.emit({"type": "run", "run": run})
        if not self.terminal.as_json:
            run_view.show_result(self.terminal, run)
        return 0 if run.status is Status.COMPLETED else FAILED

    def _cancel(self, options: dict[str, Any]) -> int:
        """All that can be, also when one of them cannot."""
        results: list[dict[str, Any]] = []
        for run_id in options["runs"]:
            result: dict[str, Any] = {"id": run_id, "is_cancelled": False, "error": None}
            try:
                result["is_cancelled"] = runs.cancel(run_id, reason=options["reason"])
            except JobsError as error:
                result["error"] = {"code": error.code, "message": str(error)}
            results.append(result)
        self.terminal.emit({"runs": results})
        if not self.terminal.as_json:
            for result in results:
                self._show_cancelled(result)
        return FAILED if any(result["error"] for result in results) else 0

    def _show_cancelled(self, result: dict[str, Any]) -> None:
        if result["error"]:
            self.terminal.error(**result["error"])
        else:
            what = "cancelled" if result["is_cancelled"] else "was over already"
            self.terminal.say(f"{result['id']} {what}")

    def _replay(self, options: dict[str, Any]) -> int:
        given = options["payload"]
        payload = (
            SAME_PAYLOAD if given is None else payload_argument.read_json(given, option="payload")
        )
        handle = runs.replay(options["run"], payload=payload)
        self.terminal.emit({"id": handle.id, "task_id": handle.task_id, "url": handle.url})
        self.terminal.say(handle.id)
        if handle.url:
            self.terminal.say(handle.url)
        return 0


def _add_list_options(parser: CommandParser, *, limit: Any, default: Any = None) -> None:
    add = partial(parser.add_argument, default=default)
    add("--status", action="append", type=str.upper, help=f"one of {', '.join(Status)}")
    add("--task", action="append", metavar="TASK")
    add("--tag", action="append", metavar="TAG", help="all given ones must be there")
    add("--queue")
    add("--before", metavar="RUN", help="only runs older than this one")
    add("--environment", metavar="SLUG")
    parser.add_argument(
        "--limit", type=int, default=limit, metavar="N", help="at most so many (50)"
    )
