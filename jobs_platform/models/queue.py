"""Queues: what code declares of them, what people changed at run time, and the slots in use."""

from __future__ import annotations

from django.contrib.postgres.functions import TransactionNow as Now
from django.db import models
from django.db.models import Q

from jobs_platform.models.environment import Environment
from jobs_platform.models.guard import EngineModel
from jobs_platform.models.run import Run


class Queue(EngineModel):
    """A named line of runs within an environment."""

    environment = models.ForeignKey(
        Environment, models.CASCADE, db_constraint=False, db_index=False, related_name="+"
    )
    name = models.CharField(max_length=160)
    concurrency_limit = models.IntegerField(null=True, blank=True)
    key_concurrency_limit = models.IntegerField(null=True, blank=True)
    """NULL: one run of each key at a time."""
    override_limit = models.IntegerField(null=True, blank=True)
    """Goes before `concurrency_limit` while it is set."""
    overridden_at = models.DateTimeField(null=True, blank=True)
    overridden_by = models.TextField(db_default="", blank=True)
    paused_at = models.DateTimeField(null=True, blank=True)
    paused_by = models.TextField(db_default="", blank=True)
    on_conflict = models.CharField(max_length=20, db_default="wait")
    """Of a busy key: `wait`, `cancel_in_progress` or `refuse`."""
    rate_limit = models.IntegerField(null=True, blank=True)
    """Starts (weighted) in each `rate_window_seconds`."""
    rate_window_seconds = models.FloatField(null=True, blank=True)
    rate_per_key = models.BooleanField(db_default=False)
    rate_on_limit = models.CharField(max_length=10, db_default="throttle")
    max_length = models.IntegerField(null=True, blank=True)
    """Runs that may wait at once; a trigger beyond it is refused."""
    served_key = models.TextField(db_default="", blank=True)
    """The key that admission served last: the next one has its turn."""
    admit_at = models.DateTimeField(null=True, blank=True)
    """When a rate limit lets the next run start: the clock admits then."""
    is_limited = models.GeneratedField(
        expression=models.ExpressionWrapper(
            Q(concurrency_limit__isnull=False)
            | Q(override_limit__isnull=False)
            | Q(paused_at__isnull=False)
            | Q(rate_limit__isnull=False)
            | Q(max_length__isnull=False)
            | ~Q(on_conflict="wait"),
            output_field=models.BooleanField(),
        ),
        output_field=models.BooleanField(),
        db_persist=True,
    )
    """Whether all its runs need a slot; runs with a key do in any queue."""
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "jobs_queue"
        constraints = [
            models.UniqueConstraint(fields=["environment", "name"], name="jobs_queue_key"),
            models.CheckConstraint(
                condition=Q(concurrency_limit__isnull=True) | Q(concurrency_limit__gt=0),
                name="jobs_queue_limit_positive",
            ),
            models.CheckConstraint(
                condition=Q(key_concurrency_limit__isnull=True) | Q(key_concurrency_limit__gt=0),
                name="jobs_queue_key_limit_positive",
            ),
            models.CheckConstraint(
                condition=Q(override_limit__isnull=True) | Q(override_limit__gt=0),
                name="jobs_queue_override_positive",
            ),
        ]
        indexes = [
            models.Index(
                fields=["environment"],
                name="jobs_queue_paused",
                condition=Q(paused_at__isnull=False),
            ),
            models.Index(
                fields=["environment", "admit_at"],
                name="jobs_queue_admit",
                condition=Q(admit_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def effective_limit(self) -> int | None:
        """The limit that holds now."""
        return self.concurrency_limit if self.override_limit is None else self.override_limit


class Slot(EngineModel):
    """One of a queue's slots (key ''), or one of a key's, held by a run."""

    pk = models.CompositePrimaryKey("environment", "queue", "key", "run")
    environment = models.ForeignKey(
        Environment, models.CASCADE, db_constraint=False, db_index=False, related_name="+"
    )
    queue = models.CharField(max_length=160)
    key = models.TextField()
    run = models.ForeignKey(
        Run, models.CASCADE, db_constraint=False, db_index=False, related_name="slots"
    )
    taken_at = models.DateTimeField(db_default=Now())
    attempt_number = models.SmallIntegerField(null=True)
    """Of an attempt that was live when its queue got a limit: its worker knows of no slot, so the
    first admission after its end frees it."""

    class Meta:
        db_table = "jobs_slot"


class Start(EngineModel):
    """An admission under a rate limit: it counts until its start is older than the window."""

    pk = models.CompositePrimaryKey("environment", "queue", "key", "run", "version")
    environment = models.ForeignKey(
        Environment, models.CASCADE, db_constraint=False, db_index=False, related_name="+"
    )
    queue = models.CharField(max_length=160)
    key = models.TextField()
    """The concurrency key where each has a rate of its own; else empty."""
    run = models.ForeignKey(
        Run, models.CASCADE, db_constraint=False, db_index=False, related_name="+"
    )
    version = models.IntegerField()
    """Of the run when it was admitted: the event of its start has the next one."""
    weight = models.SmallIntegerField()

    class Meta:
        db_table = "jobs_start"
