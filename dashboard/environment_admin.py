"""Environments: dev, staging, prod."""

from __future__ import annotations

from django.contrib import admin
from django.utils.safestring import SafeString

from jobs_platform.models import Environment

from .marks import instant, link, runs_url
from .read_only import ReadOnlyAdmin


@admin.register(Environment)
class EnvironmentAdmin(ReadOnlyAdmin):
    """Made by the engine when it is first named."""

    list_display = ("slug", "created", "runs")
    search_fields = ("slug",)
    ordering = ("slug",)
    fields = ("slug", "created", "runs")

    @admin.display(description="Created")
    def created(self, environment: Environment) -> SafeString | str:
        return instant(environment.created_at)

    @admin.display(description="Runs")
    def runs(self, environment: Environment) -> SafeString:
        return link(runs_url(environment=environment.slug), "Show runs")
