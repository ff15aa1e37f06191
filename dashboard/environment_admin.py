"""Environments: dev, staging, prod; each can be paused as a whole."""

from __future__ import annotations

from django.contrib import admin, messages
from django.contrib.auth import get_permission_codename
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs_platform.models import Environment
from jobs_platform.sdk.queues import queues

from .marks import badge, instant, link, runs_url
from .read_only import ReadOnlyAdmin


@admin.register(Environment)
class EnvironmentAdmin(ReadOnlyAdmin):
    """Made by the engine when it is first named."""

    list_display = ("slug", "state", "created", "runs")
    search_fields = ("slug",)
    ordering = ("slug",)
    fields = ("slug", "state", "created", "runs")
    actions = ("pause_selected", "resume_selected")

    def has_control_permission(self, request: HttpRequest) -> bool:
        """Whoever may change environments may pause them; edit them nobody may."""
        codename = get_permission_codename("change", self.opts)
        return bool(request.user.has_perm(f"{self.opts.app_label}.{codename}"))

    @admin.action(permissions=["control"], description="Pause selected environments")
    def pause_selected(self, request: HttpRequest, selected: QuerySet[Environment]) -> None:
        for environment in selected:
            queues.pause_all(by=request.user.get_username(), environment=environment.slug)
            self._tell(request, environment, f"Paused {environment.slug}: nothing of it starts.")

    @admin.action(permissions=["control"], description="Resume selected environments")
    def resume_selected(self, request: HttpRequest, selected: QuerySet[Environment]) -> None:
        for environment in selected:
            queues.resume_all(environment=environment.slug)
            self._tell(request, environment, f"Resumed {environment.slug}.")

    @admin.display(description="State")
    def state(self, environment: Environment) -> SafeString:
        if environment.paused_at is None:
            return badge("open", "good")
        by = f" by {environment.paused_by}" if environment.paused_by else ""
        since = instant(environment.paused_at, is_relative=True)
        return format_html("{} {}{}", badge("paused", "odd"), since, by)

    @admin.display(description="Created")
    def created(self, environment: Environment) -> SafeString | str:
        return instant(environment.created_at)

    @admin.display(description="Runs")
    def runs(self, environment: Environment) -> SafeString:
        return link(runs_url(environment=environment.slug), "Show runs")

    def _tell(self, request: HttpRequest, environment: Environment, said: str) -> None:
        self.log_change(request, environment, said)
        self.message_user(request, said, messages.SUCCESS)
