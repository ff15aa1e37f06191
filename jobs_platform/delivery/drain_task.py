"""The one Celery task of the platform: a wake-up for a worker queue."""

from __future__ import annotations

from celery import shared_task

from jobs_platform.delivery import fleet
from jobs_platform.delivery.wakeups import DRAIN_TASK


@shared_task(name=DRAIN_TASK, ignore_result=True, acks_late=True)
def drain(worker_queue: str) -> int:
    """Execute claimable runs of this worker queue; returns how many. Doing it twice is harmless."""
    return fleet.drain(worker_queue)
