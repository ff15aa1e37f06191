"""Batches, and how far each has come."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from jobs_platform.domain.ids import encode
from jobs_platform.domain.lifecycle import FINAL
from jobs_platform.models import Batch
from jobs_platform.sdk import ports

from .filters import EnvironmentFilter
from .formats import read_id
from .marks import instant, link, runs_url, status_badge
from .read_only import ReadOnlyAdmin


@admin.register(Batch)
class BatchAdmin(ReadOnlyAdmin):
    """Newest first. Progress is counted from the runs, so only on a batch's own page."""

    list_display = ("public_id", "environment", "run_count", "created", "runs")
    list_filter = (EnvironmentFilter,)
    list_select_related = ("environment",)
    search_fields = ("id",)
    search_help_text = "Batch id"
    ordering = ("-id",)
    fields = ("public_id", "environment", "progress", "created", "runs")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Batch], search_term: str
    ) -> tuple[QuerySet[Batch], bool]:
        if not search_term.strip():
            return queryset, False
        batch_id = read_id("batch", search_term)
        return (queryset.filter(pk=batch_id) if batch_id else queryset.none()), False

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Batch | None:
        """A batch by its UUID or its public id."""
        batch_id = read_id("batch", object_id)
        found = self.get_queryset(request).select_related("environment")
        return found.filter(pk=batch_id).first() if batch_id else None

    @admin.display(description="Batch")
    def public_id(self, batch: Batch) -> SafeString:
        return format_html('<span class="jobs-code">{}</span>', encode("batch", batch.pk))

    @admin.display(description="Progress")
    def progress(self, batch: Batch) -> SafeString:
        counts = ports.engine().retrieve_batch(batch.pk).counts
        over = sum(count for status, count in counts.items() if status in FINAL)
        parts = format_html_join(
            " ",
            '<a href="{}">{} {}</a>',
            (
                (self._runs_url(batch, status=status.value), status_badge(status), count)
                for status, count in sorted(counts.items())
            ),
        )
        return format_html("{} of {} over. {}", over, batch.run_count, parts)

    @admin.display(description="Created")
    def created(self, batch: Batch) -> SafeString | str:
        return instant(batch.created_at)

    @admin.display(description="Runs")
    def runs(self, batch: Batch) -> SafeString:
        return link(self._runs_url(batch), "Show runs")

    def _runs_url(self, batch: Batch, **filters: str) -> str:
        return runs_url(batch=encode("batch", batch.pk), **filters)
