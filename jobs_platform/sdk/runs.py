"""`runs`: read, cancel, reschedule, replay and wait for runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, TypedDict, Unpack
from uuid import UUID

from asgiref.sync import sync_to_async

from jobs_platform.domain.durations import Duration
from jobs_platform.domain.errors import InvalidOptionError, close_matches, did_you_mean
from jobs_platform.domain.lifecycle import Status
from jobs_platform.domain.tags import check_tags
from jobs_platform.sdk import polling, ports
from jobs_platform.sdk.explanation import Explanation
from jobs_platform.sdk.handles import BatchHandle, RunHandle, batch_uuid, handle_of, run_uuid
from jobs_platform.sdk.ports import RunFilter
from jobs_platform.sdk.registry import registry
from jobs_platform.sdk.timing import check_delay
from jobs_platform.sdk.values import Event, LogLine, Run

MAX_LIST_LIMIT = 1_000


class _Same:
    """Stands for "the payload of the run that is replayed"; None is a payload."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "the same payload"


SAME_PAYLOAD = _Same()
AnyRun = str | RunHandle | Run


class ListOptions(TypedDict, total=False):
    """What `runs.list` selects by; everything given must match."""

    status: str | Iterable[str] | None
    task: Any
    """Ids or tasks, one or several."""
    tag: str | Iterable[str] | None
    """All of these."""
    queue: str | None
    batch: str | BatchHandle | None
    parent: AnyRun | None
    schedule: str | None
    created_after: datetime | None
    created_before: datetime | None
    before: AnyRun | None
    """Only runs older than this one: the last of the page before."""
    limit: int
    environment: str | None


class Runs:
    """Reads and moves runs; every argument that is a run may be its id or its handle."""

    __slots__ = ()

    def retrieve(self, run: AnyRun) -> Run:
        """A run as it stands, with its attempts; `RunNotFoundError`."""
        return ports.engine().retrieve(_uuid(run))

    async def aretrieve(self, run: AnyRun) -> Run:
        return await sync_to_async(self.retrieve)(run)

    def list(self, **selected: Unpack[ListOptions]) -> Sequence[Run]:
        """Runs, the newest first."""
        environment = selected.get("environment")
        return ports.engine().list_runs(_filter(selected), environment=environment)

    async def alist(self, **selected: Unpack[ListOptions]) -> Sequence[Run]:
        return await sync_to_async(self.list)(**selected)

    def events(self, run: AnyRun) -> Sequence[Event]:
        """The timeline of a run."""
        return ports.engine().events_of(_uuid(run))

    async def aevents(self, run: AnyRun) -> Sequence[Event]:
        return await sync_to_async(self.events)(run)

    def log_lines(self, run: AnyRun, *, after_id: int = 0, limit: int = 1000) -> Sequence[LogLine]:
        """What a run wrote, oldest first; `after_id` is that of the last line already seen."""
        return ports.engine().log_lines_of(_uuid(run), after_id=after_id, limit=limit)

    async def alog_lines(
        self, run: AnyRun, *, after_id: int = 0, limit: int = 1000
    ) -> Sequence[LogLine]:
        return await sync_to_async(self.log_lines)(run, after_id=after_id, limit=limit)

    def explain(self, run: AnyRun) -> Explanation:
        """Why a run does not execute just now: everything that is in its way, in words."""
        return ports.engine().explain(_uuid(run))

    async def aexplain(self, run: AnyRun) -> Explanation:
        return await sync_to_async(self.explain)(run)

    def cancel(self, run: AnyRun, *, reason: str | None = None) -> bool:
        """Cancel a run and its children; False when it was already final."""
        return ports.engine().cancel(_uuid(run), reason=reason)

    async def acancel(self, run: AnyRun, *, reason: str | None = None) -> bool:
        return await sync_to_async(self.cancel)(run, reason=reason)

    def reschedule(self, run: AnyRun, delay: Duration | datetime) -> None:
        """Let a DELAYED run start `delay` from now, or at an instant; `RunNotDelayedError`.

        An instant that is past means now.
        """
        wanted = check_delay(delay)
        ports.engine().reschedule(
            _uuid(run), delay_seconds=wanted.seconds, delay_until=wanted.until
        )

    async def areschedule(self, run: AnyRun, delay: Duration | datetime) -> None:
        await sync_to_async(self.reschedule)(run, delay)

    def replay(self, run: AnyRun, *, payload: Any = SAME_PAYLOAD) -> RunHandle:
        """Trigger a new run like this one, with its payload or another."""
        run_id = _uuid(run)
        text = None
        if payload is not SAME_PAYLOAD:
            task_id = ports.engine().retrieve(run_id).task_id
            text = registry.resolve(task_id).dump_payload(payload)
        return handle_of(ports.engine().replay(run_id, payload=text))

    async def areplay(self, run: AnyRun, *, payload: Any = SAME_PAYLOAD) -> RunHandle:
        return await sync_to_async(self.replay)(run, payload=payload)

    def poll(
        self, run: AnyRun, *, poll_interval: Duration = 1.0, timeout: Duration | None = None
    ) -> Run:
        """Block until a run is final; `PollTimeoutError` when `timeout` passes first."""
        polling.refuse_open_transaction("runs.poll")
        return polling.poll(_uuid(run), interval=poll_interval, timeout=timeout)

    async def apoll(
        self,
        run: AnyRun,
        *,
        poll_interval: Duration = 1.0,
        timeout: Duration | None = None,  # noqa: ASYNC109 - as in its twin
    ) -> Run:
        await sync_to_async(polling.refuse_open_transaction)("runs.apoll")
        return await polling.apoll(_uuid(run), interval=poll_interval, timeout=timeout)


runs = Runs()


def _uuid(run: AnyRun) -> UUID:
    return run_uuid(run.id if isinstance(run, Run) else run)


def _filter(selected: ListOptions) -> RunFilter:
    for name, value in selected.items():
        if name not in ListOptions.__annotations__:
            hint = did_you_mean(close_matches(name, ListOptions.__annotations__))
            raise InvalidOptionError(option=name, value=value, reason="is unknown", suggestion=hint)
    batch, parent, before = selected.get("batch"), selected.get("parent"), selected.get("before")
    return RunFilter(
        statuses=tuple(_status(item) for item in _several(selected.get("status"))),
        task_ids=tuple(getattr(item, "id", item) for item in _several(selected.get("task"))),
        tags=check_tags(selected.get("tag")),
        queue=selected.get("queue"),
        batch_id=None if batch is None else batch_uuid(batch),
        parent_id=None if parent is None else _uuid(parent),
        schedule_id=selected.get("schedule"),
        created_after=_instant("created_after", selected.get("created_after")),
        created_before=_instant("created_before", selected.get("created_before")),
        before_id=None if before is None else _uuid(before),
        limit=_limit(selected.get("limit", 50)),
    )


def _several(value: Any) -> tuple[Any, ...]:
    if value is None:
        return ()
    if isinstance(value, list | tuple | set | frozenset):
        return tuple(value)
    return (value,)


def _status(value: str) -> Status:
    try:
        return Status(value)
    except ValueError:
        hint = did_you_mean(close_matches(str(value), Status))
        reason = f"is not one of {', '.join(Status)}"
        raise InvalidOptionError(
            option="status", value=value, reason=reason, suggestion=hint
        ) from None


def _instant(option: str, value: datetime | None) -> datetime | None:
    if value is not None and (not isinstance(value, datetime) or value.tzinfo is None):
        reason = "is not a datetime with a time zone"
        raise InvalidOptionError(option=option, value=value, reason=reason)
    return value


def _limit(value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_LIST_LIMIT:
        reason = f"is not a whole number from 1 to {MAX_LIST_LIMIT:,}"
        raise InvalidOptionError(option="limit", value=value, reason=reason)
    return value
