"""A task with its schedule: every night at two, by the clock of Berlin.

    python manage.py trigger scheduled-cleanup --wait --payload \\
        '{"timestamp": "2030-01-01T01:00:00Z", "schedule_id": "by-hand"}'

    >>> from datetime import UTC, datetime
    >>> from jobs_platform import ScheduledPayload
    >>> from tasks.examples.scheduled_cleanup import scheduled_cleanup
    >>> by_hand = ScheduledPayload(timestamp=datetime(2030, 1, 1, 1, tzinfo=UTC), schedule_id="me")
    >>> scheduled_cleanup.trigger_and_poll(by_hand).output
    {'deleted': 0, 'before': '2029-12-02T01:00:00+00:00'}

A beat fires it: `manage.py beat`, part of `manage.py dev`. Any number of beats may run, and each
nominal time fires once. `payload.timestamp` is that nominal time, not the time of the start: a run
that had to wait for a worker cleans up the same rows. `payload.last_timestamp` is the time before,
`payload.upcoming` are the next ones.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from jobs_platform import ScheduledPayload, logger, schedules
from tasks.models import RejectedRow

KEEP = timedelta(days=30)
CHUNK = 5_000


@schedules.task(id="scheduled-cleanup", cron="0 2 * * *", timezone="Europe/Berlin")
def scheduled_cleanup(payload: ScheduledPayload) -> dict[str, Any]:
    """Delete rejected rows of imports that nobody has looked after for 30 days."""
    before = payload.timestamp.astimezone(UTC) - KEEP
    deleted = 0
    while removed := _delete_chunk(before):
        deleted += removed
        logger.info("Deleted", rows=removed, total=deleted)
    logger.info("Cleaned up", deleted=deleted, next=payload.upcoming[:1])
    return {"deleted": deleted, "before": before}


def _delete_chunk(before: datetime) -> int:
    """A bounded number of rows: a DELETE of millions would hold its locks for minutes."""
    old = RejectedRow.objects.filter(rejected_at__lt=before).order_by("pk")[:CHUNK]
    return RejectedRow.objects.filter(pk__in=old.values("pk")).delete()[0]
