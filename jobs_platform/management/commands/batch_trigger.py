"""`manage.py batch_trigger`: a run for each line of a file, of any size."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any
from uuid import UUID

from django.core.management.base import CommandParser

from jobs_platform.domain import ids
from jobs_platform.domain.errors import JobsError
from jobs_platform.management.batch_items import Item, opened, read_items
from jobs_platform.management.jobs_command import CommandFailure, JobsCommand
from jobs_platform.management.options import add_trigger_options, trigger_options
from jobs_platform.sdk import options as sdk_options
from jobs_platform.sdk.ports import TriggerRequest, configuration, engine
from jobs_platform.sdk.registry import registry
from jobs_platform.sdk.triggering import CHUNK, Triggerable


class Command(JobsCommand):
    """Trigger many runs of one task, a thousand in a statement."""

    help = (
        "Trigger a run of TASK for each line of a file and print the batch's id. Each line is one "
        "payload as JSON; with --with-options each line is an object "
        '{"payload": …, "options": {"tags": […], …}} whose options win over those given here. '
        "Lines are sent in chunks of 1,000; a bad line ends it with its number, and what was "
        "accepted before stays. Empty lines are passed over."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("task", help="the id of the task; `manage.py tasks` lists them")
        parser.add_argument(
            "--items", required=True, metavar="FILE", help="JSON lines; - for standard input"
        )
        parser.add_argument(
            "--with-options", action="store_true", help="lines are objects of payload and options"
        )
        add_trigger_options(parser)
        self.add_common_arguments(parser)

    def run(self, **options: Any) -> None:
        defaults = trigger_options(options)
        task = registry.resolve(options["task"])
        sending = _Sending(task, defaults)
        with opened(options["items"]) as file, self.terminal.live() as live:
            items = read_items(file, has_options=options["with_options"])
            try:
                while sending.send(islice(items, CHUNK)):
                    if live is not None:
                        live.update(f"{sending.accepted:,} accepted")
            except (JobsError, CommandFailure) as error:
                raise _with_count(error, sending) from error
        if sending.batch_id is None:
            raise CommandFailure("no_items", f"{options['items']} has no item: no batch was made.")
        batch_id = ids.encode("batch", sending.batch_id)
        self.terminal.emit(
            {
                "batch_id": batch_id,
                "task_id": task.id,
                "run_count": sending.accepted,
                "cached_count": sending.cached,
            }
        )
        self.terminal.say(batch_id)
        cached = f", {sending.cached:,} more were there already" if sending.cached else ""
        self.terminal.note(f"{sending.accepted:,} runs of {task.id}{cached}")


class _Sending:
    """A batch on its way."""

    def __init__(self, task: Triggerable, defaults: dict[str, Any]) -> None:
        self._task = task
        self._defaults = defaults
        self.batch_id: UUID | None = None
        self.accepted = 0
        self.cached = 0
        """Items whose idempotency key another run holds."""

    def send(self, items: Iterable[Item]) -> bool:
        """Check and write one chunk; False when there was none."""
        requests = [self._request(item) for item in items]
        if not requests:
            return False
        self.batch_id, triggered = engine().trigger_batch(
            requests,
            environment=sdk_options.environment_of(self._defaults),
            batch_id=self.batch_id,
        )
        cached = sum(answer.is_cached for answer in triggered)
        self.accepted += len(requests) - cached
        self.cached += cached
        return True

    def _request(self, item: Item) -> TriggerRequest:
        if "environment" in item.options:
            message = f"Line {item.line} names an environment: a batch has one, --environment."
            raise CommandFailure("item_invalid", message)
        try:
            sdk_options.refuse_in_batch({**self._defaults, **item.options})
            return sdk_options.request(
                self._task.id,
                payload=self._task.dump_payload(item.payload),
                defaults=self._task.defaults,
                options={**self._defaults, **item.options},
                configuration=configuration(),
            )
        except JobsError as error:
            raise CommandFailure(error.code, f"Line {item.line}: {error}") from error


def _with_count(error: JobsError | CommandFailure, sending: _Sending) -> CommandFailure:
    """Say what was accepted before it went wrong."""
    message = error.message if isinstance(error, CommandFailure) else str(error)
    if sending.batch_id is None:
        return CommandFailure(error.code, f"{message} Nothing was sent.")
    batch_id = ids.encode("batch", sending.batch_id)
    runs = "1 run was" if sending.accepted == 1 else f"{sending.accepted:,} runs were"
    accepted = f"{runs} accepted before it ({batch_id})"
    return CommandFailure(error.code, f"{message} {accepted}; nothing more was sent.")
