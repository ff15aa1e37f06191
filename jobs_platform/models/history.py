"""What a run leaves behind: attempts, timeline and log lines. Rows are added, never changed."""

from __future__ import annotations

from django.contrib.postgres.functions import TransactionNow as Now
from django.db import models

from jobs_platform.models.environment import Environment
from jobs_platform.models.fields import VerbatimJSONField
from jobs_platform.models.guard import EngineModel
from jobs_platform.models.run import Run
from jobs_platform.models.worker import Worker


class Attempt(EngineModel):
    """A finished attempt. The live one is part of its run's row."""

    pk = models.CompositePrimaryKey("run", "number")
    run = models.ForeignKey(
        Run, models.CASCADE, db_constraint=False, db_index=False, related_name="attempts"
    )
    number = models.SmallIntegerField()
    environment = models.ForeignKey(
        Environment, models.CASCADE, db_constraint=False, db_index=False, related_name="+"
    )
    status = models.CharField(max_length=16)
    worker = models.ForeignKey(
        Worker, models.SET_NULL, null=True, db_constraint=False, db_index=False, related_name="+"
    )
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField()
    error = VerbatimJSONField(null=True)
    cpu_seconds = models.FloatField(null=True)
    peak_memory_bytes = models.BigIntegerField(null=True)

    class Meta:
        db_table = "jobs_attempt"


class Event(EngineModel):
    """One move of a run, written in the transaction that made it."""

    pk = models.CompositePrimaryKey("run", "version")
    run = models.ForeignKey(
        Run, models.CASCADE, db_constraint=False, db_index=False, related_name="events"
    )
    version = models.IntegerField()
    environment = models.ForeignKey(
        Environment, models.CASCADE, db_constraint=False, db_index=False, related_name="+"
    )
    move = models.CharField(max_length=24)
    attempt_number = models.SmallIntegerField()
    created_at = models.DateTimeField(db_default=Now())
    data = VerbatimJSONField(null=True)

    class Meta:
        db_table = "jobs_event"


class LogLine(EngineModel):
    """One line of a run's log; `id` ascends in an attempt: microseconds, by the worker's clock."""

    pk = models.CompositePrimaryKey("run", "id")
    id = models.BigIntegerField()
    run = models.ForeignKey(
        Run, models.CASCADE, db_constraint=False, db_index=False, related_name="log_lines"
    )
    environment = models.ForeignKey(
        Environment, models.CASCADE, db_constraint=False, db_index=False, related_name="+"
    )
    attempt_number = models.SmallIntegerField()
    logged_at = models.DateTimeField()
    level = models.CharField(max_length=8)
    source = models.CharField(max_length=8)
    message = models.TextField()
    fields = VerbatimJSONField(null=True)

    class Meta:
        db_table = "jobs_log_line"


class HookCall(EngineModel):
    """A final state whose hooks have not been called yet."""

    run = models.OneToOneField(
        Run, models.CASCADE, primary_key=True, db_constraint=False, related_name="hook_call"
    )
    environment = models.ForeignKey(
        Environment, models.CASCADE, db_constraint=False, db_index=False, related_name="+"
    )
    worker_queue = models.CharField(max_length=64)
    worker = models.ForeignKey(
        Worker, models.SET_NULL, null=True, db_constraint=False, db_index=False, related_name="+"
    )
    """Who is about to make the call; anybody may while it is empty or that worker is gone."""
    slot = models.IntegerField(null=True)
    """The slot of that worker; null where the call is the affair of whoever stops the attempt."""
    tries = models.SmallIntegerField(db_default=0)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "jobs_hook_call"
