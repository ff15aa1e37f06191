"""Tasks, as the newest worker of each environment declared them."""

from __future__ import annotations

import json

from django.contrib import admin
from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs_platform.models import TaskDefinition

from .filters import EnvironmentFilter
from .marks import instant, link, runs_url
from .read_only import ReadOnlyAdmin


@admin.register(TaskDefinition)
class TaskDefinitionAdmin(ReadOnlyAdmin):
    """Declared in code, registered by workers."""

    list_display = (
        "task_id",
        "name",
        "queue",
        "machine",
        "max_attempts",
        "version",
        "environment",
        "updated",
        "runs",
    )
    list_filter = (EnvironmentFilter,)
    list_select_related = ("environment",)
    search_fields = ("task_id", "name")
    ordering = ("task_id", "id")
    fields = (
        "task_id",
        "name",
        "description",
        "environment",
        "queue",
        "machine",
        "max_attempts",
        "version",
        "file",
        "schema",
        "updated",
        "runs",
    )

    @admin.display(description="Registered")
    def updated(self, task: TaskDefinition) -> SafeString | str:
        return instant(task.updated_at, is_relative=True)

    @admin.display(description="Payload schema")
    def schema(self, task: TaskDefinition) -> SafeString | None:
        if task.payload_schema is None:
            return None
        text = json.dumps(task.payload_schema, indent=2, ensure_ascii=False)
        return format_html('<pre class="jobs-pre" tabindex="0">{}</pre>', text)

    @admin.display(description="Runs")
    def runs(self, task: TaskDefinition) -> SafeString:
        url = runs_url(task=task.task_id, environment=task.environment.slug)
        return link(url, "Show runs")
