"""Workers, their leases, and what each of their slots has claimed."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.functions import TransactionNow as Now
from django.db import models

from jobs_platform.models.environment import Environment
from jobs_platform.models.guard import EngineModel


class Worker(EngineModel):
    """One worker process. Its attempts are live while `lease_until` is ahead."""

    id = models.AutoField(primary_key=True)
    environment = models.ForeignKey(
        Environment, models.CASCADE, db_constraint=False, db_index=False, related_name="+"
    )
    name = models.TextField()
    worker_queues = ArrayField(models.TextField())
    task_ids = ArrayField(models.TextField(), db_default=[])
    """The tasks in its code."""
    pool = models.CharField(max_length=16)
    slots = models.SmallIntegerField()
    started_at = models.DateTimeField(db_default=Now())
    heartbeat_at = models.DateTimeField(db_default=Now())
    lease_until = models.DateTimeField()
    stopped_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "jobs_worker"
        indexes = [
            models.Index(
                fields=["lease_until"],
                name="jobs_worker_live",
                condition=models.Q(stopped_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} #{self.pk}"


class Claim(EngineModel):
    """The runs that one claim of one slot took, in the order in which they are executed.

    Written and deleted in the statement that claims and finishes, never updated, so that a
    transaction held open elsewhere cannot make it slow. The way from a dead worker to its runs.
    """

    pk = models.CompositePrimaryKey("worker", "slot", "number")
    worker = models.ForeignKey(
        Worker, models.CASCADE, db_constraint=False, db_index=False, related_name="+"
    )
    slot = models.IntegerField()
    """The process id of a pool child, the thread id of a pool thread."""
    number = models.BigIntegerField()
    run_ids = ArrayField(models.UUIDField())
    fencing_tokens = ArrayField(models.IntegerField())
    """Of each run: it may have been given back and be held by another slot by now."""
    claimed_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "jobs_claim"
