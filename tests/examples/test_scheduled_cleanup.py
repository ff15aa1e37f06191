"""`scheduled-cleanup`, fired by the clock as a beat fires it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import connection

from jobs_platform import ScheduledPayload, runs
from jobs_platform.engine import caller
from jobs_platform.engine.define import define_tasks
from jobs_platform.engine.environments import environment_id
from jobs_platform.engine.fire import fire_due
from jobs_platform.engine.line import Line
from jobs_platform.models import Schedule
from jobs_platform.sdk.registry import registry
from tasks.examples import scheduled_cleanup as example
from tasks.examples.scheduled_cleanup import scheduled_cleanup
from tasks.models import RejectedRow
from tests.executing import InProcessWorker

NIGHT = datetime(2026, 7, 1, 0, 0, tzinfo=UTC)
"""Two in the morning in Berlin, in summer."""


@pytest.fixture
def rejected(transactional_db: None) -> None:
    for line, age in enumerate((29, 30, 31, 400), start=2):
        RejectedRow.objects.create(
            source="people", line=line, values=[], reason="odd", rejected_at=NIGHT - age * DAY
        )


DAY = timedelta(days=1)


def test_the_clock_fires_it_with_its_nominal_time(worker: InProcessWorker, rejected: None) -> None:
    registry.discover()
    with Line(caller.conninfo(), application_name="test") as line:
        define_tasks(line, registry, environment_id=environment_id())
        with connection.cursor() as cursor:
            cursor.execute("UPDATE jobs_schedule SET next_fire_at = %s", [NIGHT])
            cursor.execute("UPDATE jobs_worker SET task_ids = %s", [[scheduled_cleanup.id]])
        fired = [fire_due(line, environment_id=environment_id()) for _ in range(2)]
    assert [sum(counter.values()) for counter in fired] == [1, 0]
    worker.execute_until_idle()
    (run,) = runs.list(task=scheduled_cleanup)
    assert run.output == {"deleted": 2, "before": (NIGHT - 30 * DAY).isoformat()}
    assert sorted(RejectedRow.objects.values_list("line", flat=True)) == [2, 3]
    payload = scheduled_cleanup.load_payload(scheduled_cleanup.dump_payload(run.payload))
    assert payload.timestamp == NIGHT
    assert payload.upcoming[0] == NIGHT + DAY
    schedule = Schedule.objects.get(task_id="scheduled-cleanup")
    assert schedule.next_fire_at.astimezone(ZoneInfo("Europe/Berlin")).hour == 2


def test_it_deletes_chunk_after_chunk(rejected: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(example, "CHUNK", 1)
    payload = ScheduledPayload(timestamp=NIGHT + 365 * DAY, schedule_id="sched_test")
    assert scheduled_cleanup.local(payload)["deleted"] == 4
