"""Queues and their limits, as code declared them."""

from __future__ import annotations

from django.contrib import admin
from django.utils.safestring import SafeString

from jobs_platform.models import Queue

from .filters import EnvironmentFilter
from .marks import instant, link, runs_url
from .read_only import ReadOnlyAdmin


@admin.register(Queue)
class QueueAdmin(ReadOnlyAdmin):
    """Limits are declared with the queue; here they are shown."""

    list_display = ("name", "environment", "limit", "key_limit", "created", "runs")
    list_filter = (EnvironmentFilter,)
    list_select_related = ("environment",)
    search_fields = ("name",)
    ordering = ("name", "id")
    fields = ("name", "environment", "limit", "key_limit", "created", "runs")

    @admin.display(description="Concurrency limit")
    def limit(self, queue: Queue) -> int | str:
        return queue.concurrency_limit or "none"

    @admin.display(description="Limit per key")
    def key_limit(self, queue: Queue) -> int | str:
        return queue.key_concurrency_limit or "none"

    @admin.display(description="Created")
    def created(self, queue: Queue) -> SafeString | str:
        return instant(queue.created_at)

    @admin.display(description="Runs")
    def runs(self, queue: Queue) -> SafeString:
        url = runs_url(queue=queue.name, environment=queue.environment.slug)
        return link(url, "Show runs")
