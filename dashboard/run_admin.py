"""Runs: the list, the page of one, and the addresses of its raw JSON."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
)
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs_platform.domain.ids import encode
from jobs_platform.models import Run

from . import run_page
from .formats import read_id
from .marks import badge, instant, status_badge, tag_chips
from .read_only import ReadOnlyAdmin
from .run_actions import RunActions
from .run_filters import RUN_FILTERS, read_day, search_runs
from .time_limit import TooSlowError, time_limit

LIST_SECONDS = 5.0
"""How long the database may look for one page of the list."""

_SITE_SEARCH_ROWS = 20
_JSON_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
}


@dataclass(frozen=True, slots=True)
class _Heading:
    """What the breadcrumbs want to know of an object; they would capitalise a public id."""

    pk: UUID
    task_id: str
    _meta = Run._meta

    def __str__(self) -> str:
        return f"Run of {self.task_id}"


@admin.register(Run)
class RunAdmin(RunActions, ReadOnlyAdmin):
    """Newest first, by the id, which begins with the time."""

    list_display = (
        "public_id",
        "shown_status",
        "task",
        "shown_tags",
        "attempts",
        "created",
        "duration",
        "queue_name",
        "environment_slug",
    )
    list_filter = RUN_FILTERS
    list_select_related = ("environment",)
    search_fields = ("id",)
    search_help_text = "Run id, task id or tag"
    ordering = ("-id",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Run]:
        return super().get_queryset(request).defer(*run_page.DOCUMENTS)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Run], search_term: str
    ) -> tuple[QuerySet[Run], bool]:
        found = search_runs(queryset, search_term)
        # Unfold's search over all models reads whatever it is given to the end.
        is_site_search = request.resolver_match and request.resolver_match.url_name == "search"
        return (found[:_SITE_SEARCH_ROWS] if is_site_search else found), False

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Run | None:
        """A run by its UUID or its public id."""
        run_id = read_id("run", object_id)
        return self.get_queryset(request).filter(pk=run_id).first() if run_id else None

    def get_urls(self) -> list[URLPattern]:
        own = (
            ("cancel", self.cancel_view),
            ("replay", self.replay_view),
            ("json/<slug:name>", self.json_view),
        )
        return [
            path(
                f"<str:object_id>/{route}/",
                self.admin_site.admin_view(view),
                name=f"jobs_run_{route.partition('/')[0]}",
            )
            for route, view in own
        ] + super().get_urls()

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if request.method == "POST":
            return super().changelist_view(request, extra_context)
        try:
            with time_limit(LIST_SECONDS):
                return super().changelist_view(request, extra_context)
        except TooSlowError:
            if not request.GET:
                raise  # nothing to narrow: the database is in trouble
            return self._narrowed(request)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The page of one run. There is no form, so there is nothing that could be posted."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        run_id = read_id("run", object_id)
        runs = run_page.with_documents(self.get_queryset(request)).select_related(
            "environment", "worker", "schedule"
        )
        run = runs.filter(pk=run_id).first() if run_id else None
        if run is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "media": self.media,
            "original": _Heading(run.pk, run.task_id),
            "title": f"{run.task_id} {encode('run', run.pk)}",
            "page": run_page.read_page(run),
            "can_control": self.has_control_permission(request),
            **(extra_context or {}),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/jobs/run/change_form.html", context)

    def json_view(self, request: HttpRequest, object_id: str, name: str) -> HttpResponse:
        """One JSON column, whole and as it is stored."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        run = self.get_object(request, object_id)
        text = run_page.read_document(run.pk, name) if run and name in run_page.DOCUMENTS else None
        if text is None:
            raise Http404
        return HttpResponse(
            text, content_type="application/json; charset=utf-8", headers=_JSON_HEADERS
        )

    @admin.display(description="Run")
    def public_id(self, run: Run) -> SafeString:
        return format_html('<span class="jobs-code jobs-line">{}</span>', encode("run", run.pk))

    @admin.display(description="Status")
    def shown_status(self, run: Run) -> SafeString:
        return status_badge(run.status)

    @admin.display(description="Task")
    def task(self, run: Run) -> SafeString | str:
        test = badge("test", "odd")
        return format_html("{} {}", run.task_id, test) if run.is_test else run.task_id

    @admin.display(description="Tags", empty_value="")
    def shown_tags(self, run: Run) -> SafeString | None:
        return tag_chips(run.tags) if run.tags else None

    @admin.display(description="Attempt")
    def attempts(self, run: Run) -> str:
        return f"{run.attempt_number}/{run.max_attempts}"

    @admin.display(description="Created")
    def created(self, run: Run) -> SafeString:
        return _one_line(instant(run.created_at, is_relative=True))

    @admin.display(description="Duration")
    def duration(self, run: Run) -> SafeString | None:
        text = run_page.run_duration(run)
        return _one_line(text) if text else None

    @admin.display(description="Queue")
    def queue_name(self, run: Run) -> str:
        return run.queue

    @admin.display(description="Environment")
    def environment_slug(self, run: Run) -> str:
        return run.environment.slug

    def _narrowed(self, request: HttpRequest) -> HttpResponse:
        """The same list over one or two days, which the order of ids finds at once."""
        wanted = request.GET.copy()
        last = read_day(wanted.get("created_to", "")) or timezone.localdate()
        day = (last - timedelta(days=1)).isoformat()
        slow = f"No answer within {LIST_SECONDS:g} seconds"
        if wanted.get("created_from", "") >= day:
            self.message_user(
                request,
                f"{slow}, not even for so few days. Search for a run id or a tag instead.",
                messages.ERROR,
            )
            return HttpResponseRedirect(request.path)
        wanted["created_from"] = day
        self.message_user(
            request,
            f"{slow}, so only runs since {day} are shown. Choose other days under Filters.",
            messages.WARNING,
        )
        return HttpResponseRedirect(f"{request.path}?{wanted.urlencode()}")


def _one_line(text: str) -> SafeString:
    return format_html('<span class="jobs-line">{}</span>', text)
