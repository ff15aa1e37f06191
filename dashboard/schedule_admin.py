"""Schedules: when the clock triggers a task."""

from __future__ import annotations

from django.contrib import admin
from django.utils.safestring import SafeString

from jobs_platform.domain.ids import encode
from jobs_platform.models import Schedule

from .filters import EnvironmentFilter
from .marks import badge, instant, link, runs_url
from .read_only import ReadOnlyAdmin


@admin.register(Schedule)
class ScheduleAdmin(ReadOnlyAdmin):
    """Declared in code or made by the SDK; their next time is the truth."""

    list_display = (
        "task_id",
        "cron",
        "timezone",
        "state",
        "next_time",
        "last_time",
        "environment",
        "runs",
    )
    list_filter = (EnvironmentFilter, "is_active")
    list_select_related = ("environment",)
    search_fields = ("task_id", "deduplication_key", "external_id")
    ordering = ("task_id", "id")
    fields = (
        "public_id",
        "task_id",
        "environment",
        "cron",
        "timezone",
        "state",
        "next_time",
        "last_time",
        "deduplication_key",
        "external_id",
        "created",
        "runs",
    )

    @admin.display(description="Id")
    def public_id(self, schedule: Schedule) -> str:
        return encode("sched", schedule.pk)

    @admin.display(description="State")
    def state(self, schedule: Schedule) -> SafeString:
        return badge("active", "good") if schedule.is_active else badge("inactive")

    @admin.display(description="Next")
    def next_time(self, schedule: Schedule) -> SafeString | str | None:
        return instant(schedule.next_fire_at) if schedule.is_active else None

    @admin.display(description="Last")
    def last_time(self, schedule: Schedule) -> SafeString | str:
        return instant(schedule.last_fire_at)

    @admin.display(description="Created")
    def created(self, schedule: Schedule) -> SafeString | str:
        return instant(schedule.created_at)

    @admin.display(description="Runs")
    def runs(self, schedule: Schedule) -> SafeString:
        return link(runs_url(schedule=encode("sched", schedule.pk)), "Show runs")
