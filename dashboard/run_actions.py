"""Cancel and replay: asked for in the list or on a run's page, confirmed, done by the engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.auth import get_permission_codename
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from jobs_platform.domain.errors import JobsError
from jobs_platform.domain.ids import encode
from jobs_platform.domain.lifecycle import FINAL
from jobs_platform.models import Run
from jobs_platform.sdk import ports

from .marks import page_url, run_link, status_badge

MAX_RUNS = 100
"""How many runs one request may cancel or replay."""


@dataclass(slots=True)
class Report:
    """What became of each run that was asked for."""

    done: list[UUID] = field(default_factory=list)
    made: dict[UUID, UUID] = field(default_factory=dict)
    """Old run → the new one."""
    were_final: list[UUID] = field(default_factory=list)
    failed: list[tuple[UUID, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Verb:
    """Something that a person may do to runs."""

    name: str
    title: str
    warning: str
    perform: Callable[[UUID, str, Report], None]
    """With the run, the name of the person who asks, and the report to write into."""


def _cancel(run_id: UUID, username: str, report: Report) -> None:
    if ports.engine().cancel(run_id, reason=f"Cancelled by {username} in the admin."):
        report.done.append(run_id)
    else:
        report.were_final.append(run_id)


def _replay(run_id: UUID, _: str, report: Report) -> None:
    report.made[run_id] = ports.engine().replay(run_id).id
    report.done.append(run_id)


CANCEL = Verb(
    name="cancel",
    title="Cancel",
    warning=(
        "It is cancelled at once and does not run again. Where an attempt is running, its worker "
        "is told to stop. Children that are not over are cancelled too."
    ),
    perform=_cancel,
)
REPLAY = Verb(
    name="replay",
    title="Replay",
    warning=(
        "A new run starts with the same payload, queue and tags; the old one stays as it is. "
        "What the task does to the world, it does once more."
    ),
    perform=_replay,
)


class RunActions:
    """The part of the run admin that acts; reading needs less permission."""

    actions = ("cancel_selected", "replay_selected")

    def has_control_permission(self, request: HttpRequest) -> bool:
        """Whoever may change runs may cancel and replay them; edit them nobody may."""
        codename = get_permission_codename("change", self.opts)
        return bool(request.user.has_perm(f"{self.opts.app_label}.{codename}"))

    @admin.action(permissions=["control"], description="Cancel selected runs")
    def cancel_selected(self, request: HttpRequest, runs: QuerySet[Run]) -> HttpResponse | None:
        return self._act_on_selected(request, runs, CANCEL)

    @admin.action(permissions=["control"], description="Replay selected runs")
    def replay_selected(self, request: HttpRequest, runs: QuerySet[Run]) -> HttpResponse | None:
        return self._act_on_selected(request, runs, REPLAY)

    def cancel_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._act_on_one(request, object_id, CANCEL)

    def replay_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._act_on_one(request, object_id, REPLAY)

    def _act_on_selected(
        self, request: HttpRequest, selected: QuerySet[Run], verb: Verb
    ) -> HttpResponse | None:
        runs = list(selected[: MAX_RUNS + 1])
        if len(runs) > MAX_RUNS:
            self.message_user(
                request,
                f"Select up to {MAX_RUNS} runs at a time. Nothing was done.",
                messages.ERROR,
            )
            return None
        if "confirmed" not in request.POST:
            return self._ask(request, runs, verb, is_selection=True)
        self._perform(request, runs, verb)
        return None

    def _act_on_one(self, request: HttpRequest, object_id: str, verb: Verb) -> HttpResponse:
        if request.method not in ("GET", "HEAD", "POST"):
            return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
        if not self.has_control_permission(request):
            raise PermissionDenied
        run = self.get_object(request, object_id)
        if run is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        page = page_url("run", run.pk)
        if request.method == "POST":
            report = self._perform(request, [run], verb)
            made = report.made.get(run.pk)
            return HttpResponseRedirect(page_url("run", made) if made else page)
        if verb is CANCEL and run.status in FINAL:
            self._tell(request, verb, Report(were_final=[run.pk]), [run])
            return HttpResponseRedirect(page)
        return self._ask(request, [run], verb, is_selection=False)

    def _ask(
        self, request: HttpRequest, runs: Sequence[Run], verb: Verb, *, is_selection: bool
    ) -> HttpResponse:
        what = "this run" if len(runs) == 1 else f"these {len(runs)} runs"
        context: dict[str, Any] = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "media": self.media,
            "title": f"{verb.title} {what}?",
            "verb": verb,
            "rows": [(run_link(run.pk), run.task_id, status_badge(run.status)) for run in runs],
            "is_selection": is_selection,
            "checkbox_name": ACTION_CHECKBOX_NAME,
            "selected": [run.pk for run in runs] if is_selection else [],
            "action": f"{verb.name}_selected",
            "back_url": (
                request.get_full_path()
                if is_selection
                else reverse("admin:jobs_run_change", args=[runs[0].pk])
            ),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/jobs/run/confirm.html", context)

    def _perform(self, request: HttpRequest, runs: Sequence[Run], verb: Verb) -> Report:
        report = Report()
        for run in runs:
            try:
                verb.perform(run.pk, request.user.get_username(), report)
            except JobsError as error:
                report.failed.append((run.pk, str(error)))
        by_id = {run.pk: run for run in runs}
        for run_id in report.done:
            made = report.made.get(run_id)
            said = f"Replayed as {encode('run', made)}." if made else "Cancelled."
            self.log_change(request, by_id[run_id], said)
        self._tell(request, verb, report, runs)
        return report

    def _tell(self, request: HttpRequest, verb: Verb, report: Report, runs: Sequence[Run]) -> None:
        """One message for each kind of end, naming every run in it."""
        if report.made:
            made = format_html_join(
                ", ",
                "{} as {}",
                ((run_link(old), run_link(new)) for old, new in report.made.items()),
            )
            self.message_user(request, format_html("Replayed {}.", made), messages.SUCCESS)
        elif report.done:
            self.message_user(
                request, format_html("Cancelled {}.", _links(report.done)), messages.SUCCESS
            )
        if report.were_final:
            text = format_html(
                "{} {} already over; nothing was changed.",
                _links(report.were_final),
                "was" if len(report.were_final) == 1 else "were",
            )
            self.message_user(request, text, messages.WARNING)
        for run_id, reason in report.failed:
            text = format_html("{} of {} failed: {}", verb.title, run_link(run_id), reason)
            self.message_user(request, text, messages.ERROR)


def _links(run_ids: Sequence[UUID]) -> SafeString:
    return format_html_join(", ", "{}", ((run_link(run_id),) for run_id in run_ids))
