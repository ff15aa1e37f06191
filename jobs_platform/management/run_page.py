"""One run on a page: what it is, its timeline, its attempts, the end of its log, its result."""

from __future__ import annotations

from uuid import UUID

from jobs_platform.engine import caller
from jobs_platform.management import run_view
from jobs_platform.management.terminal import Terminal, local_time
from jobs_platform.models import LogLine as LogLineRow
from jobs_platform.sdk.explanation import Explanation
from jobs_platform.sdk.handles import run_uuid
from jobs_platform.sdk.ports import engine
from jobs_platform.sdk.values import LogLine, Run

_ATTEMPT_COLUMNS = ("TRY", "STATUS", "STARTED", "TOOK", "WORKER", "ERROR")


def show_run(terminal: Terminal, run_id: str, *, lines: int) -> None:
    """The run with its last log `lines`; one JSON object with everything."""
    uuid = run_uuid(run_id)
    run = engine().retrieve(uuid)
    events = engine().events_of(uuid)
    log = _last_lines(uuid, lines)
    explanation = None if run.is_completed else engine().explain(uuid)
    terminal.emit({"run": run, "explanation": explanation, "events": events, "log": log})
    if terminal.as_json:
        return
    _show_facts(terminal, run)
    if explanation is not None:
        _heading(terminal, "Why it does not execute" if run.is_queued else "Now")
        show_explanation(terminal, explanation)
    _heading(terminal, "Timeline")
    for event in events:
        terminal.say(run_view.event_line(event))
    if run.attempts:
        _heading(terminal, "Attempts")
        rows = [run_view.attempt_row(attempt) for attempt in run.attempts]
        terminal.table(_ATTEMPT_COLUMNS, rows, empty="")
    if log:
        _heading(terminal, "Log")
        for line in log:
            terminal.say(run_view.log_line(line))
    _heading(terminal, "Payload")
    terminal.value(run.payload)
    _show_end(terminal, run)


def show_explanation(terminal: Terminal, explanation: Explanation) -> None:
    """What a run waits for, a line for each reason, and its place in the line."""
    for reason in explanation.reasons:
        terminal.say(reason.text)
    if explanation.position is not None:
        more = " or later" if explanation.is_position_capped else ""
        terminal.say(f"Position {explanation.position:,}{more} in queue {explanation.queue}.")


def _show_facts(terminal: Terminal, run: Run) -> None:
    priority = f"{run.priority:+g} s" if run.priority else ""
    terminal.pairs(
        [
            ("Run", run.id),
            ("Task", f"{run.task_id} {run.task_version or ''}".strip()),
            ("Status", run_view.status_text(run.status)),
            ("Attempt", f"{run.attempt_number} of {run.max_attempts}"),
            ("Environment", run.environment),
            ("Queue", run.queue),
            ("Machine", run.machine),
            ("Priority", priority),
            ("Tags", " ".join(run.tags)),
            ("Created", local_time(run.created_at)),
            ("Due", local_time(run.run_at)),
            ("Started", local_time(run.started_at)),
            ("Finished", local_time(run.finished_at)),
            ("Took", run_view.took(run.duration_ms)),
            ("Test", "yes" if run.is_test else ""),
            ("Parent", run.parent_id),
            ("Batch", run.batch_id),
            ("Schedule", run.schedule_id),
            ("Replay of", run.replay_of_id),
            ("Page", run.url),
        ]
    )


def _show_end(terminal: Terminal, run: Run) -> None:
    if run.metadata:
        _heading(terminal, "Metadata")
        terminal.value(run.metadata)
    if run.error is not None:
        _heading(terminal, "Error")
        terminal.say(f"{run.error.name}: {run.error.message}", style="red")
        if run.error.traceback:
            terminal.say(run.error.traceback.rstrip(), style="dim")
    elif run.is_success:
        _heading(terminal, "Output")
        terminal.value(run.output)


def _heading(terminal: Terminal, text: str) -> None:
    terminal.say()
    terminal.say(text, style="bold")


def _last_lines(run_id: UUID, count: int) -> list[LogLine]:
    if count < 1:
        return []
    with caller.translated():
        ids = LogLineRow.objects.filter(run_id=run_id).order_by("-id").values_list("id", flat=True)
        before_them = list(ids[count : count + 1])
    after_id = before_them[0] if before_them else 0
    return engine().log_lines_of(run_id, after_id=after_id, limit=count)
