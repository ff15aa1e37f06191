"""The environment: the first column of every question (dev, staging, prod)."""

from __future__ import annotations

from django.contrib.postgres.functions import TransactionNow as Now
from django.db import models

from jobs_platform.models.guard import EngineModel


class Environment(EngineModel):
    """A separate world of runs in one database: own runs, queues, schedules and workers."""

    id = models.SmallAutoField(primary_key=True)
    slug = models.CharField(max_length=64, unique=True)
    paused_at = models.DateTimeField(null=True, blank=True)
    """Nothing of this environment starts while it is set."""
    paused_by = models.TextField(db_default="", blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "jobs_environment"

    def __str__(self) -> str:
        return self.slug
