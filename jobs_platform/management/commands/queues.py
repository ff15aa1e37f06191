"""`manage.py queues`: list, show, pause and resume queues, and change their limits."""

from __future__ import annotations

import getpass
from argparse import SUPPRESS, ArgumentParser
from typing import Any

from django.core.management.base import CommandParser

from jobs_platform.management import queue_view
from jobs_platform.management.jobs_command import JobsCommand, UsageError
from jobs_platform.sdk.queue_info import EnvironmentPause, QueueInfo
from jobs_platform.sdk.queues import queues

_ACTIONS = ("list", "show", "pause", "resume", "override", "reset")


class Command(JobsCommand):
    """Look at queues, and hold them back or let them go; without a word more, list them."""

    help = (
        "List and show queues, pause and resume them, override their concurrency limit and reset "
        "it. `queues` alone lists them. Changes hold at once, for all workers."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        self.add_common_arguments(parser)
        _add_list_options(parser, limit=100, default=None)
        actions = parser.add_subparsers(dest="action", metavar="|".join(_ACTIONS))
        made = {
            "list": actions.add_parser("list", help="the queues, by name"),
            "show": actions.add_parser("show", help="one queue: its limits and how many runs"),
            "pause": actions.add_parser("pause", help="let nothing of a queue start"),
            "resume": actions.add_parser("resume", help="let it go on"),
            "override": actions.add_parser("override", help="another concurrency limit for now"),
            "reset": actions.add_parser("reset", help="the limit of the code again"),
        }
        for name, action in made.items():
            self.add_common_arguments(action, default=SUPPRESS)
            if name == "list":
                _add_list_options(action, limit=SUPPRESS, default=SUPPRESS)
                continue
            takes_all = name in ("pause", "resume")
            action.add_argument("queue", metavar="QUEUE", nargs="?" if takes_all else None)
            if takes_all:
                action.add_argument(
                    "--all", action="store_true", help="the whole environment, not one queue"
                )
            if name == "override":
                action.add_argument("limit", metavar="LIMIT", type=int)
            if name in ("pause", "override"):
                action.add_argument("--by", default=None, help="who asks (default: your user name)")
            action.add_argument("--environment", metavar="SLUG", default=SUPPRESS)

    def run(self, **options: Any) -> int:
        action = options["action"] or "list"
        where = {"environment": options["environment"]}
        if action == "list":
            return self._list(options)
        if options.get("all"):
            return self._all(action, options)
        if options["queue"] is None:
            raise UsageError(f"Name the queue to {action}, or say --all.")
        name = options["queue"]
        if action == "show":
            queue = queues.retrieve(name, **where)
        elif action == "pause":
            queue = queues.pause(name, by=_by(options), **where)
        elif action == "resume":
            queue = queues.resume(name, **where)
        elif action == "override":
            limit = options["limit"]
            queue = queues.override_concurrency_limit(name, limit, by=_by(options), **where)
        else:
            queue = queues.reset_concurrency_limit(name, **where)
        return self._show(queue)

    def _list(self, options: dict[str, Any]) -> int:
        where = {"environment": options["environment"]}
        after, limit = options["after"] or "", options["limit"]
        found = queues.list(after=after, limit=limit, **where)
        pause = queues.environment(**where)
        further = found[-1].name if len(found) == limit else None
        self.terminal.emit({"queues": found, "environment": pause, "after": further})
        rows = [queue_view.table_row(queue) for queue in found]
        self.terminal.table(queue_view.COLUMNS, rows, empty="No queues.")
        if pause.is_paused:
            self.terminal.say(queue_view.environment_line(pause), style="yellow")
        if further:
            self.terminal.note(f"Further ones: --after {further}")
        return 0

    def _all(self, action: str, options: dict[str, Any]) -> int:
        if options["queue"] is not None:
            raise UsageError(f"Either the queue {options['queue']} or --all, not both.")
        environment = options["environment"]
        pause: EnvironmentPause
        if action == "pause":
            pause = queues.pause_all(by=_by(options), environment=environment)
        else:
            pause = queues.resume_all(environment=environment)
        self.terminal.emit(pause)
        self.terminal.say(queue_view.environment_line(pause))
        return 0

    def _show(self, queue: QueueInfo) -> int:
        self.terminal.emit(queue)
        if not self.terminal.as_json:
            queue_view.show_queue(self.terminal, queue)
        return 0


def _add_list_options(parser: ArgumentParser, *, limit: Any, default: Any) -> None:
    parser.add_argument("--environment", metavar="SLUG", default=default)
    parser.add_argument("--after", metavar="QUEUE", default=default, help="only behind this one")
    parser.add_argument(
        "--limit", type=int, default=limit, metavar="N", help="at most so many (100)"
    )


def _by(options: dict[str, Any]) -> str:
    if options["by"] is not None:
        return str(options["by"])
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in some containers
        return ""
