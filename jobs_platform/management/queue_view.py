"""How queues look on a terminal: the rows of the list, the page of one."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from jobs_platform.domain.durations import to_text
from jobs_platform.management.terminal import Terminal, local_time
from jobs_platform.sdk.queue_info import EnvironmentPause, QueueInfo

COLUMNS = ("QUEUE", "RUNNING", "IN LINE", "LIMIT", "EACH KEY", "RATE", "STATE")


def table_row(queue: QueueInfo) -> Sequence[object]:
    """The cells of `COLUMNS`."""
    return (
        queue.name,
        f"{queue.running:,}",
        queued_text(queue),
        _limit_text(queue),
        queue.key_concurrency_limit or "",
        _rate_text(queue),
        Text(_pause_text(queue), style="yellow"),
    )


def show_queue(terminal: Terminal, queue: QueueInfo) -> None:
    """Everything about a queue, a line for each fact."""
    overridden = local_time(queue.overridden_at)
    by = f" by {queue.overridden_by}" if queue.overridden_by else ""
    terminal.pairs(
        [
            ("Queue", queue.name),
            ("Environment", queue.environment),
            (
                "State",
                Text(_pause_text(queue) or "open", style="yellow" if queue.is_paused else ""),
            ),
            ("Running", f"{queue.running:,}"),
            ("Queued", queued_text(queue)),
            ("Slots in use", f"{queue.slots_in_use:,}"),
            ("Limit", queue.effective_limit or "none"),
            ("In the code", (queue.concurrency_limit or "none") if overridden else ""),
            ("Overridden", f"{overridden}{by}" if overridden else ""),
            ("Each key", queue.key_concurrency_limit or "1"),
            ("Busy key", "" if queue.on_conflict == "wait" else queue.on_conflict),
            ("Rate limit", _rate_text(queue)),
            ("Next start", local_time(queue.next_start_at)),
            ("Max length", queue.max_length),
        ]
    )


def queued_text(queue: QueueInfo) -> str:
    """How many wait, with a plus where counting ended."""
    return f"{queue.queued:,}{'+' if queue.is_queued_capped else ''}"


def environment_line(pause: EnvironmentPause) -> str:
    """Whether anything of an environment starts."""
    if not pause.is_paused:
        return f"Environment {pause.environment} is not paused."
    by = f" by {pause.paused_by}" if pause.paused_by else ""
    return f"Environment {pause.environment} is paused since {local_time(pause.paused_at)}{by}."


def _limit_text(queue: QueueInfo) -> str:
    if queue.override_limit is None:
        return str(queue.concurrency_limit or "")
    return f"{queue.override_limit} (code: {queue.concurrency_limit or 'none'})"


def _rate_text(queue: QueueInfo) -> str:
    rate = queue.rate_limit
    if rate is None:
        return ""
    each = " for each key" if rate.per_key else ""
    return f"{rate.limit} in {to_text(rate.window_seconds)}{each}"


def _pause_text(queue: QueueInfo) -> str:
    by = f" by {queue.paused_by}" if queue.paused_by else ""
    return f"paused {local_time(queue.paused_at)}{by}" if queue.is_paused else ""
