"""Queues as code declared them; the limits are enforced at admission."""

from __future__ import annotations

from django.contrib.postgres.functions import TransactionNow as Now
from django.db import models

from jobs_platform.models.environment import Environment
from jobs_platform.models.guard import EngineModel


class Queue(EngineModel):
    """A named line of runs within an environment."""

    environment = models.ForeignKey(
        Environment, models.CASCADE, db_constraint=False, related_name="+"
    )
    name = models.CharField(max_length=160)
    concurrency_limit = models.IntegerField(null=True, blank=True)
    key_concurrency_limit = models.IntegerField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "jobs_queue"
        constraints = [
            models.UniqueConstraint(fields=["environment", "name"], name="jobs_queue_key"),
            models.CheckConstraint(
                condition=models.Q(concurrency_limit__isnull=True)
                | models.Q(concurrency_limit__gt=0),
                name="jobs_queue_limit_positive",
            ),
            models.CheckConstraint(
                condition=models.Q(key_concurrency_limit__isnull=True)
                | models.Q(key_concurrency_limit__gt=0),
                name="jobs_queue_key_limit_positive",
            ),
        ]

    def __str__(self) -> str:
        return self.name
