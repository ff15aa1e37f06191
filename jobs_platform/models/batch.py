"""A batch: runs triggered together. Its progress is counted from them, never kept beside them."""

from __future__ import annotations

from django.contrib.postgres.functions import TransactionNow as Now
from django.db import models

from jobs_platform.domain.ids import encode
from jobs_platform.models.environment import Environment
from jobs_platform.models.guard import EngineModel


class Batch(EngineModel):
    """Runs triggered together. `run_count` grows while a streamed batch is being sent."""

    id = models.UUIDField(primary_key=True)
    environment = models.ForeignKey(
        Environment, models.CASCADE, db_constraint=False, related_name="+"
    )
    run_count = models.IntegerField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "jobs_batch"
        verbose_name_plural = "batches"

    def __str__(self) -> str:
        return encode("batch", self.id)
