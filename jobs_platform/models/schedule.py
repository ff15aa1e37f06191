"""Cron schedules; `next_fire_at` is the truth, the expression only says how to go on from it."""

from __future__ import annotations

from django.contrib.postgres.functions import TransactionNow as Now
from django.db import models

from jobs_platform.models.environment import Environment
from jobs_platform.models.guard import EngineModel


class Schedule(EngineModel):
    """When a task is triggered by the clock."""

    id = models.UUIDField(primary_key=True)
    environment = models.ForeignKey(
        Environment, models.CASCADE, db_constraint=False, related_name="+"
    )
    task_id = models.CharField(max_length=128)
    deduplication_key = models.TextField()
    """Declared schedules have the key `declared`."""
    cron = models.TextField()
    timezone = models.TextField()
    external_id = models.TextField(null=True, blank=True)
    is_active = models.BooleanField(db_default=True)
    next_fire_at = models.DateTimeField(null=True)
    last_fire_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "jobs_schedule"
        constraints = [
            models.UniqueConstraint(
                fields=["environment", "task_id", "deduplication_key"], name="jobs_schedule_key"
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_fire_at"],
                name="jobs_schedule_due",
                condition=models.Q(is_active=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.task_id} {self.cron}"
