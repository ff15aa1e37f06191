"""Runs, the central table; and the CHECKs that make impossible rows impossible.

Indexes are few on purpose: a claim changes an indexed column and writes an entry into each, a
finish changes none and stays in its page (HOT). `is_claimable`, not the status, is what the queue's
index looks at, and no index mentions the executing status.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.functions import TransactionNow as Now
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import F, Q

from jobs_platform.domain.ids import encode
from jobs_platform.domain.lifecycle import FINAL, Status
from jobs_platform.models.batch import Batch
from jobs_platform.models.environment import Environment
from jobs_platform.models.fields import VerbatimJSONField
from jobs_platform.models.guard import EngineModel
from jobs_platform.models.schedule import Schedule
from jobs_platform.models.worker import Worker


def _one_of(statuses: AbstractSet[Status]) -> str:
    """A regular expression: every statement that writes runs reads its CHECKs from the catalogue
    anew, where an IN of the same names is ten times as long (a third of what an insert cost)."""
    return f"^({'|'.join(sorted(statuses))})$"


class Run(EngineModel):
    """One accepted piece of work, from its trigger to its final status."""

    id = models.UUIDField(primary_key=True)
    environment = models.ForeignKey(
        Environment, models.CASCADE, db_constraint=False, db_index=False, related_name="+"
    )
    task_id = models.CharField(max_length=128)
    status = models.CharField(max_length=16, choices=[(status, status) for status in Status])
    version = models.IntegerField(db_default=1)
    queue = models.CharField(max_length=160)
    worker_queue = models.CharField(max_length=64)
    priority_seconds = models.FloatField(db_default=0.0)
    run_at = models.DateTimeField()
    """Claimable from then on; orders the queue (queue time minus priority, or the retry's time)."""
    is_claimable = models.BooleanField(db_default=True)
    is_waiting = models.BooleanField(db_default=False)
    """For a slot of its queue; admission makes it claimable."""
    is_timed = models.BooleanField(db_default=False)
    """The clock moves it on at `run_at`: a delay, or a retry that needs a slot first."""
    needs_slot = models.BooleanField(db_default=False)
    """To start: its queue is limited, or it has a concurrency key."""
    concurrency_key = models.TextField(db_default="")
    """Runs of one key of a queue share its slots; empty without."""
    further_keys = ArrayField(models.TextField(), db_default=[])
    """Keys beside the first; a run starts only if all have room."""
    rate_weight = models.SmallIntegerField(db_default=1)
    ttl_seconds = models.FloatField(null=True)
    expires_at = models.DateTimeField(null=True)
    """It expires unless it was claimed before; NULL from its first claim on."""
    max_duration_seconds = models.FloatField(null=True)
    idempotency_key = models.TextField(null=True)
    held_key = models.TextField(null=True)
    """The idempotency key while it keeps others from being made; NULL once it is free."""
    key_expires_at = models.DateTimeField(null=True)
    debounce_key = models.TextField(null=True)
    """While DELAYED: the next trigger with this key pushes it back."""
    debounce_until = models.DateTimeField(null=True)
    """It is not pushed back beyond this instant."""
    payload = VerbatimJSONField()
    output = VerbatimJSONField(null=True)
    error = VerbatimJSONField(null=True)
    metadata = models.JSONField(db_default={})
    tags = ArrayField(models.TextField(), db_default=[])
    attempt_number = models.SmallIntegerField(db_default=0)
    max_attempts = models.SmallIntegerField()
    fencing_token = models.IntegerField(db_default=0)
    """Rises with every claim; a write that names an older one is refused."""
    worker = models.ForeignKey(
        Worker, models.SET_NULL, null=True, db_constraint=False, db_index=False, related_name="+"
    )
    is_test = models.BooleanField(db_default=False)
    task_version = models.CharField(max_length=128, null=True)
    parent = models.ForeignKey(
        "self",
        models.SET_NULL,
        null=True,
        db_constraint=False,
        db_index=False,
        related_name="children",
    )
    root = models.ForeignKey(
        "self", models.SET_NULL, null=True, db_constraint=False, db_index=False, related_name="+"
    )
    batch = models.ForeignKey(
        Batch, models.SET_NULL, null=True, db_constraint=False, db_index=False, related_name="runs"
    )
    replay_of = models.ForeignKey(
        "self", models.SET_NULL, null=True, db_constraint=False, db_index=False, related_name="+"
    )
    schedule = models.ForeignKey(
        Schedule, models.SET_NULL, null=True, db_constraint=False, db_index=False, related_name="+"
    )
    scheduled_at = models.DateTimeField(null=True)
    """The nominal time that a schedule triggered it for."""
    created_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True)
    attempt_started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "jobs_run"
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(status__regex=_one_of(FINAL), finished_at__isnull=False)
                | Q(status__regex=_one_of(set(Status) - FINAL), finished_at__isnull=True),
                name="jobs_run_final_has_end",
            ),
            models.CheckConstraint(
                condition=Q(is_claimable=False) | Q(status=Status.QUEUED),
                name="jobs_run_claimable_queued",
            ),
            models.CheckConstraint(
                condition=~Q(status=Status.EXECUTING)
                | Q(worker__isnull=False, attempt_started_at__isnull=False, attempt_number__gt=0),
                name="jobs_run_executing_has_attempt",
            ),
            models.CheckConstraint(
                condition=Q(output__isnull=True) | Q(status=Status.COMPLETED),
                name="jobs_run_output_completed",
            ),
            models.CheckConstraint(
                condition=Q(attempt_number__gte=0, attempt_number__lt=F("max_attempts"))
                | Q(attempt_number__gt=0, attempt_number=F("max_attempts"))
                & ~Q(status__regex=_one_of({Status.DELAYED, Status.QUEUED})),
                name="jobs_run_attempts_within_max",
            ),
            models.CheckConstraint(
                condition=Q(is_waiting=False) | Q(status=Status.QUEUED, is_claimable=False),
                name="jobs_run_waiting_queued",
            ),
            models.CheckConstraint(
                condition=Q(is_timed=False)
                | Q(
                    status__regex=_one_of({Status.DELAYED, Status.QUEUED}),
                    is_claimable=False,
                    is_waiting=False,
                ),
                name="jobs_run_timed_not_due",
            ),
            models.UniqueConstraint(
                fields=["environment", "task_id", "held_key"],
                name="jobs_run_held_key",
                condition=Q(held_key__isnull=False),
            ),
            models.UniqueConstraint(
                fields=["environment", "task_id", "debounce_key"],
                name="jobs_run_debounce",
                condition=Q(debounce_key__isnull=False),
            ),
            models.UniqueConstraint(
                fields=["schedule", "scheduled_at"],
                name="jobs_run_once_per_nominal_time",
                condition=Q(scheduled_at__isnull=False),
            ),
        ]
        indexes = [
            models.Index(
                fields=["environment", "worker_queue", "run_at"],
                name="jobs_run_claimable",
                condition=Q(is_claimable=True),
            ),
            models.Index(
                fields=["environment", "queue", "concurrency_key", "run_at", "id"],
                name="jobs_run_waiting",
                condition=Q(is_waiting=True),
            ),
            models.Index(
                fields=["environment", "queue", "run_at"],
                name="jobs_run_waiting_further",
                condition=Q(is_waiting=True) & ~Q(further_keys=[]),
            ),
            models.Index(
                fields=["environment", "run_at"],
                name="jobs_run_timed",
                condition=Q(is_timed=True),
            ),
            models.Index(
                fields=["environment", "queue", "concurrency_key"],
                name="jobs_run_timed_key",
                condition=Q(is_timed=True) & ~Q(concurrency_key=""),
            ),
            models.Index(
                fields=["environment", "expires_at"],
                name="jobs_run_expiring",
                condition=Q(expires_at__isnull=False),
            ),
            models.Index(
                fields=["parent"], name="jobs_run_parent", condition=Q(parent__isnull=False)
            ),
            models.Index(fields=["batch"], name="jobs_run_batch", condition=Q(batch__isnull=False)),
            GinIndex(fields=["tags"], name="jobs_run_tags", condition=~Q(tags=[])),
        ]

    def __str__(self) -> str:
        return f"{self.task_id} {encode('run', self.pk)}"
