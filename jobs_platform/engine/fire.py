"""Trigger what the clock says: one run for each nominal time of a schedule."""

from __future__ import annotations

import logging
from collections import Counter
from datetime import datetime
from uuid import UUID

from psycopg.errors import UniqueViolation

from jobs_platform.domain.cron import Cron
from jobs_platform.domain.errors import InvalidCronError
from jobs_platform.domain.ids import encode
from jobs_platform.domain.payloads import PAYLOAD_LIMIT_BYTES, to_json
from jobs_platform.engine.line import Line, Row
from jobs_platform.engine.trigger import trigger_on_schedule
from jobs_platform.sdk.ports import TriggerRequest
from jobs_platform.sdk.schedules import UPCOMING_COUNT, ScheduledPayload

SCHEDULES_PER_TRANSACTION = 100

_log = logging.getLogger(__name__)


def fire_due(line: Line, *, environment_id: int) -> Counter[str]:
    """Trigger due schedules; returns how many runs each worker queue got.

    The run and the schedule's next time commit together, and the run is unique for its nominal
    time, so any number of beats may fire. After a downtime the first missed time is fired, the
    others are left out.
    """
    triggered: Counter[str] = Counter()
    params = {"environment_id": environment_id, "limit": SCHEDULES_PER_TRANSACTION}
    with line.transaction():
        for row in line.execute("due_schedules", params):
            worker_queue = _fire(line, row, environment_id)
            if worker_queue is not None:
                triggered[worker_queue] += 1
    return triggered


def _fire(line: Line, row: Row, environment_id: int) -> str | None:
    """Trigger one schedule and move it on; None when this nominal time has no new run."""
    (
        schedule_id, task_id, expression, timezone, external_id, nominal, last, now, queue, machine,
        max_attempts, version, ttl_seconds, max_duration_seconds,
    ) = row  # fmt: skip
    try:
        cron = Cron(expression, timezone=timezone)
    except InvalidCronError as error:
        _log.error("The schedule of task %s stops: %s", task_id, error)
        params = {"id": schedule_id, "fired_at": last, "next_fire_at": None}
        line.execute("advance_schedule", params)
        return None
    payload = ScheduledPayload(
        timestamp=nominal,
        last_timestamp=last,
        timezone=timezone,
        schedule_id=encode("sched", schedule_id),
        external_id=external_id,
        upcoming=cron.upcoming(UPCOMING_COUNT, after=nominal),
    )
    request = TriggerRequest(
        task_id=task_id,
        payload=to_json(payload, what="payload", limit_bytes=PAYLOAD_LIMIT_BYTES),
        queue=queue,
        worker_queue=machine,
        max_attempts=max_attempts,
        task_version=version,
        ttl_seconds=ttl_seconds,
        max_duration_seconds=max_duration_seconds,
    )
    is_new = True
    try:
        with line.transaction():
            trigger_on_schedule(
                line,
                request,
                environment_id=environment_id,
                schedule_id=schedule_id,
                scheduled_at=nominal,
            )
    except UniqueViolation:
        is_new = False  # the clock was set back, or the code's clock lags behind the database's
    _advance(line, schedule_id, cron, nominal=nominal, now=now)
    return str(machine) if is_new else None


def _advance(
    line: Line, schedule_id: UUID, cron: Cron, *, nominal: datetime, now: datetime
) -> None:
    try:
        following = cron.next_after(max(nominal, now))
    except InvalidCronError:
        following = None
    params = {"id": schedule_id, "fired_at": nominal, "next_fire_at": following}
    line.execute("advance_schedule", params)
