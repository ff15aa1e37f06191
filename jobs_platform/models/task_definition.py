"""What workers have registered: the tasks that exist, as a process without their code sees them."""

from __future__ import annotations

from django.contrib.postgres.functions import TransactionNow as Now
from django.db import models

from jobs_platform.models.environment import Environment
from jobs_platform.models.guard import EngineModel


class TaskDefinition(EngineModel):
    """One task of one environment, as its newest worker declared it."""

    environment = models.ForeignKey(
        Environment, models.CASCADE, db_constraint=False, related_name="+"
    )
    task_id = models.CharField(max_length=128)
    name = models.TextField(blank=True, db_default="")
    description = models.TextField(blank=True, db_default="")
    file = models.TextField(blank=True, db_default="")
    queue = models.CharField(max_length=160)
    machine = models.CharField(max_length=64)
    max_attempts = models.SmallIntegerField()
    version = models.CharField(max_length=128, null=True, blank=True)
    ttl_seconds = models.FloatField(null=True, blank=True)
    max_duration_seconds = models.FloatField(null=True, blank=True)
    payload_schema = models.JSONField(null=True, blank=True)
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "jobs_task_definition"
        constraints = [
            models.UniqueConstraint(
                fields=["environment", "task_id"], name="jobs_task_definition_key"
            ),
        ]

    def __str__(self) -> str:
        return self.task_id
