"""What the page of one run shows, read in a fixed number of bounded questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import F, Func, IntegerField, QuerySet, TextField
from django.db.models.fields.json import KT
from django.db.models.functions import Cast, Left
from django.utils import timezone

from jobs_platform.domain.ids import encode
from jobs_platform.domain.lifecycle import FINAL, MOVES, Status
from jobs_platform.models import Attempt, Event, LogLine, Run
from jobs_platform.sdk import ports
from jobs_platform.sdk.explanation import Explanation, Reason

from .formats import SHOWN_CHARACTERS, duration_text, pairs, pretty_json, size_text

DOCUMENTS = ("payload", "output", "error", "metadata")
"""The JSON of a run that can be read whole at an address of its own."""

MAX_LINES = 1_000
MAX_EVENTS = 500
MAX_ATTEMPTS = 100
MAX_CHILDREN = 50
_LINE_CHARACTERS = 8_000
_FIELD_CHARACTERS = 2_000


@dataclass(frozen=True, slots=True)
class Document:
    """JSON of a run, cut where it is too long for a page."""

    name: str
    text: str
    size: str
    is_cut: bool


@dataclass(frozen=True, slots=True)
class ShownError:
    name: str
    message: str
    traceback: str


@dataclass(frozen=True, slots=True)
class ShownEvent:
    words: str
    attempt_number: int
    at: datetime
    since_start: str
    details: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class ShownAttempt:
    number: int
    status: str
    worker_id: int | None
    worker: str
    started_at: datetime | None
    duration: str
    cpu: str
    peak_memory: str
    error: ShownError | None
    is_live: bool = False
    is_stopping: bool = False
    """Its run was cancelled and it has not ended yet."""


@dataclass(frozen=True, slots=True)
class ShownLine:
    at: datetime
    level: str
    source: str
    message: str
    fields: list[tuple[str, str]]
    attempt_number: int


@dataclass(frozen=True, slots=True)
class RunPage:
    """Everything on the page of a run."""

    run: Run
    public_id: str
    is_final: bool
    error: ShownError | None
    documents: Sequence[Document]
    attempts: Sequence[ShownAttempt]
    events: Sequence[ShownEvent]
    lines: Sequence[ShownLine]
    children: Sequence[Run]
    reasons: Sequence[Reason] = ()
    """Why it does not execute; of a run that is over, none."""
    position: str = ""
    has_more: dict[str, bool] = field(default_factory=dict)
    """By name of a list: whether there is more than it shows."""

    @property
    def duration(self) -> str:
        """From the first start to the end, or until now."""
        return run_duration(self.run)

    @property
    def next_attempt_at(self) -> datetime | None:
        """When a run that waits for its queue may start, if that is not yet."""
        is_ahead = self.run.status == Status.QUEUED and self.run.run_at > timezone.now()
        return self.run.run_at if is_ahead else None


def _position(explanation: Explanation | None) -> str:
    if explanation is None or explanation.position is None:
        return ""
    return f"{explanation.position:,}{'+' if explanation.is_position_capped else ''}"


def with_documents(runs: QuerySet[Run]) -> QuerySet[Run]:
    """Read no JSON column whole: the head and the size of each, and the parts of the error."""
    heads: dict[str, Any] = {}
    for name in DOCUMENTS:
        text = Cast(F(name), TextField())
        heads[f"{name}_head"] = Left(text, SHOWN_CHARACTERS)
        heads[f"{name}_size"] = Func(text, function="octet_length", output_field=IntegerField())
    return _with_error(runs.defer(*DOCUMENTS).annotate(**heads))


def read_page(run: Run) -> RunPage:
    """The page of a run that was read `with_documents`."""
    attempts, has_more_attempts = _attempts(run)
    events, has_more_events = _events(run)
    lines, has_more_lines = _lines(run.pk)
    children = list(
        Run.objects.filter(parent_id=run.pk)
        .order_by("-id")
        .only("id", "task_id", "status", "created_at")[: MAX_CHILDREN + 1]
    )
    is_final = run.status in FINAL
    explanation = None if is_final else ports.engine().explain(run.pk)
    return RunPage(
        run=run,
        public_id=encode("run", run.pk),
        is_final=is_final,
        error=_error(run),
        documents=[
            document
            for name in ("payload", "output", "metadata")
            if (document := _document(run, name))
        ],
        attempts=attempts,
        events=events,
        lines=lines,
        children=children[:MAX_CHILDREN],
        reasons=explanation.reasons if explanation else (),
        position=_position(explanation),
        has_more={
            "attempts": has_more_attempts,
            "events": has_more_events,
            "lines": has_more_lines,
            "children": len(children) > MAX_CHILDREN,
        },
    )


def read_document(run_id: UUID, name: str) -> str | None:
    """One JSON column of a run as it is stored; None where there is none."""
    text = Cast(F(name), TextField())
    return (
        Run.objects.filter(pk=run_id).annotate(whole=text).values_list("whole", flat=True).first()
    )


def run_duration(run: Run) -> str:
    """From the first start to the end; to now for a run that executes; else nothing."""
    if not run.started_at:
        return ""
    end = run.finished_at or (timezone.now() if run.status == Status.EXECUTING else None)
    return duration_text(max(0.0, (end - run.started_at).total_seconds())) if end else ""


def _with_error(rows: QuerySet[Any]) -> QuerySet[Any]:
    return rows.annotate(
        error_name=Left(KT("error__name"), _FIELD_CHARACTERS),
        error_message=Left(KT("error__message"), SHOWN_CHARACTERS),
        error_traceback=Left(KT("error__traceback"), SHOWN_CHARACTERS),
    )


def _error(row: Any) -> ShownError | None:
    if row.error_name is None and row.error_message is None:
        return None
    return ShownError(row.error_name or "", row.error_message or "", row.error_traceback or "")


def _document(run: Run, name: str) -> Document | None:
    head, size = getattr(run, f"{name}_head"), getattr(run, f"{name}_size")
    if head is None or (name == "metadata" and head == "{}"):
        return None
    is_cut = size > SHOWN_CHARACTERS and len(head) == SHOWN_CHARACTERS
    return Document(name, head if is_cut else pretty_json(head), size_text(size), is_cut)


def _attempts(run: Run) -> tuple[list[ShownAttempt], bool]:
    """Newest first, the live one included."""
    finished = list(
        _with_error(
            Attempt.objects.filter(run_id=run.pk).select_related("worker").defer("error")
        ).order_by("-number")[: MAX_ATTEMPTS + 1]
    )
    shown = [
        ShownAttempt(
            number=row.number,
            status=row.status,
            worker_id=row.worker_id,
            worker=row.worker.name if row.worker else "",
            started_at=row.started_at,
            duration=duration_text((row.finished_at - row.started_at).total_seconds()),
            cpu="" if row.cpu_seconds is None else duration_text(row.cpu_seconds),
            peak_memory="" if row.peak_memory_bytes is None else size_text(row.peak_memory_bytes),
            error=_error(row),
        )
        for row in finished[:MAX_ATTEMPTS]
    ]
    live = _live_attempt(run, {row.number for row in finished})
    return ([live] if live else []) + shown, len(finished) > MAX_ATTEMPTS


def _live_attempt(run: Run, finished: set[int]) -> ShownAttempt | None:
    """The attempt that the run's row tells of: of an executing run, or of one being cancelled."""
    is_stopping = run.status == Status.CANCELED and run.worker_id is not None
    is_live = run.status == Status.EXECUTING or is_stopping
    if not is_live or run.attempt_number in finished or not run.attempt_started_at:
        return None
    seconds = (timezone.now() - run.attempt_started_at).total_seconds()
    return ShownAttempt(
        number=run.attempt_number,
        status=run.status,
        worker_id=run.worker_id,
        worker=run.worker.name if run.worker else "",
        started_at=run.attempt_started_at,
        duration=duration_text(max(0.0, seconds)),
        cpu="",
        peak_memory="",
        error=None,
        is_live=True,
        is_stopping=is_stopping,
    )


def _events(run: Run) -> tuple[list[ShownEvent], bool]:
    """Oldest first; of very many, the latest."""
    rows = list(
        Event.objects.filter(run_id=run.pk)
        .defer("data")
        .annotate(data_head=Left(Cast(F("data"), TextField()), _FIELD_CHARACTERS))
        .order_by("-version")[: MAX_EVENTS + 1]
    )
    shown = [
        ShownEvent(
            words=MOVES[row.move].announces if row.move in MOVES else row.move,
            attempt_number=row.attempt_number,
            at=row.created_at,
            since_start=f"+{duration_text((row.created_at - run.created_at).total_seconds())}",
            details=pairs(row.data_head),
        )
        for row in reversed(rows[:MAX_EVENTS])
    ]
    return shown, len(rows) > MAX_EVENTS


def _lines(run_id: UUID) -> tuple[list[ShownLine], bool]:
    """Oldest first; of very many, the latest."""
    rows = list(
        LogLine.objects.filter(run_id=run_id)
        .defer("message", "fields")
        .annotate(
            head=Left("message", _LINE_CHARACTERS),
            fields_head=Left(Cast(F("fields"), TextField()), _FIELD_CHARACTERS),
        )
        .order_by("-id")[: MAX_LINES + 1]
    )
    shown = [
        ShownLine(
            at=row.logged_at,
            level=row.level,
            source=row.source,
            message=row.head,
            fields=pairs(row.fields_head),
            attempt_number=row.attempt_number,
        )
        for row in reversed(rows[:MAX_LINES])
    ]
    return shown, len(rows) > MAX_LINES
