"""Tasks with a schedule in their code."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from jobs_platform import (
    Cron,
    InvalidCronError,
    InvalidOptionError,
    PayloadValidationError,
    ScheduledPayload,
    schedules,
)

pytestmark = pytest.mark.usefixtures("fresh_process")


def test_a_scheduled_task_keeps_its_cron_and_gets_its_payload() -> None:
    @schedules.task(id="digest", cron="0 9 * * *", timezone="Europe/Berlin")
    def digest(payload: ScheduledPayload) -> Any:
        return payload

    payload = ScheduledPayload(
        timestamp=datetime(2026, 1, 1, 8, tzinfo=UTC),
        schedule_id="sched_1",
        upcoming=[datetime(2026, 1, 2, 8, tzinfo=UTC)],
    )
    assert digest.cron == Cron("0 9 * * *", timezone="Europe/Berlin")
    assert digest.local(payload) == payload
    described = digest.definition()
    assert (described["cron"], described["timezone"]) == ("0 9 * * *", "Europe/Berlin")
    with pytest.raises(PayloadValidationError, match=r"payload\.timestamp"):
        digest.dump_payload({})


def test_a_scheduled_task_without_payload_or_cron_is_fine() -> None:
    @schedules.task(queue="slow")
    def bare() -> None: ...

    assert bare.cron is None
    assert bare.defaults.queue == "slow"


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"cron": "* * *"}, InvalidCronError),
        ({"cron": "* * * * *", "timezone": "Mars/Base"}, InvalidCronError),
        ({"timezone": "UTC"}, InvalidOptionError),
        ({"cron": Cron("@daily"), "timezone": "Asia/Tokyo"}, InvalidOptionError),
        ({"cron": "@daily", "overlap": "skip"}, InvalidOptionError),
        ({"cron": "@daily", "catch_up": "one"}, InvalidOptionError),
    ],
)
def test_a_bad_schedule_fails_at_import(options: dict[str, Any], kind: Any) -> None:
    with pytest.raises(kind):
        schedules.task(**options)


def test_time_zones_are_listed() -> None:
    assert "Europe/Berlin" in schedules.timezones()
