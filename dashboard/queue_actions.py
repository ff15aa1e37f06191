"""Pause, resume, override and reset: asked for in the list or on a page, done by the engine.

Who may change queues may do this; edit them nobody may.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth import get_permission_codename
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from unfold.widgets import UnfoldAdminIntegerFieldWidget

from jobs_platform.domain.errors import JobsError
from jobs_platform.models import Queue
from jobs_platform.sdk.queue import MAX_LIMIT
from jobs_platform.sdk.queue_info import QueueInfo
from jobs_platform.sdk.queues import queues

from .marks import page_url


class LimitForm(forms.Form):
    """What an override asks for; the other verbs ask for nothing."""

    limit = forms.IntegerField(
        label="Concurrency limit",
        min_value=1,
        max_value=MAX_LIMIT,
        widget=UnfoldAdminIntegerFieldWidget(attrs={"autofocus": True}),
    )


@dataclass(frozen=True, slots=True)
class Verb:
    """Something that a person may do to a queue."""

    name: str
    title: str
    warning: str
    perform: Callable[[Queue, str, int | None], QueueInfo]
    """With the queue, the name of the person who asks, and the limit of an override."""
    done: str
    form: type[LimitForm] | None = None


def _pause(queue: Queue, username: str, _: int | None) -> QueueInfo:
    return queues.pause(queue.name, by=username, environment=queue.environment.slug)


def _resume(queue: Queue, _username: str, _: int | None) -> QueueInfo:
    return queues.resume(queue.name, environment=queue.environment.slug)


def _override(queue: Queue, username: str, limit: int | None) -> QueueInfo:
    return queues.override_concurrency_limit(
        queue.name, limit or 0, by=username, environment=queue.environment.slug
    )


def _reset(queue: Queue, _username: str, _: int | None) -> QueueInfo:
    return queues.reset_concurrency_limit(queue.name, environment=queue.environment.slug)


VERBS = {
    verb.name: verb
    for verb in (
        Verb(
            "pause",
            "Pause",
            "None of its runs starts until it is resumed. What executes goes on.",
            _pause,
            "Paused",
        ),
        Verb("resume", "Resume", "Its runs start as the limits allow.", _resume, "Resumed"),
        Verb(
            "override",
            "Override the limit of",
            "This limit goes before the one in the code, until it is reset. Runs that execute now "
            "count, and go on.",
            _override,
            "Overrode the limit of",
            form=LimitForm,
        ),
        Verb("reset", "Reset the limit of", "The limit in the code holds again.", _reset, "Reset"),
    )
}


class QueueActions:
    """The part of the queue admin that acts; reading needs less permission."""

    actions = ("pause_selected", "resume_selected", "reset_selected")
    change_form_outer_before_template = "admin/jobs/queue/controls.html"

    def has_control_permission(self, request: HttpRequest) -> bool:
        """Whoever may change queues may pause and re-limit them; edit them nobody may."""
        codename = get_permission_codename("change", self.opts)
        return bool(request.user.has_perm(f"{self.opts.app_label}.{codename}"))

    def get_urls(self) -> list[URLPattern]:
        own = [
            path(
                "<str:object_id>/do/<slug:name>/",
                self.admin_site.admin_view(self.act_view),
                name="jobs_queue_do",
            )
        ]
        return own + super().get_urls()

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        can_control = self.has_control_permission(request)
        context = {"verbs": VERBS.values() if can_control else (), **(extra_context or {})}
        return super().change_view(request, object_id, form_url, context)

    @admin.action(permissions=["control"], description="Pause selected queues")
    def pause_selected(self, request: HttpRequest, selected: QuerySet[Queue]) -> None:
        self._perform_all(request, selected, VERBS["pause"])

    @admin.action(permissions=["control"], description="Resume selected queues")
    def resume_selected(self, request: HttpRequest, selected: QuerySet[Queue]) -> None:
        self._perform_all(request, selected, VERBS["resume"])

    @admin.action(permissions=["control"], description="Reset the limits of selected queues")
    def reset_selected(self, request: HttpRequest, selected: QuerySet[Queue]) -> None:
        self._perform_all(request, selected, VERBS["reset"])

    def act_view(self, request: HttpRequest, object_id: str, name: str) -> HttpResponse:
        """Ask, then do one thing to one queue."""
        verb = VERBS.get(name)
        if request.method not in ("GET", "HEAD", "POST"):
            return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
        if not self.has_control_permission(request):
            raise PermissionDenied
        queue = self.get_object(request, object_id) if verb else None
        if verb is None or queue is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        form = verb.form(request.POST or None) if verb.form else None
        if request.method == "POST" and (form is None or form.is_valid()):
            self._perform(request, queue, verb, form.cleaned_data["limit"] if form else None)
            return HttpResponseRedirect(page_url("queue", queue.pk))
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "media": self.media,
            "title": f"{verb.title} queue {queue.name}?",
            "verb": verb,
            "form": form,
            "back_url": page_url("queue", queue.pk),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/jobs/queue/confirm.html", context)

    def _perform_all(self, request: HttpRequest, selected: QuerySet[Queue], verb: Verb) -> None:
        for queue in selected.select_related("environment"):
            self._perform(request, queue, verb, None)

    def _perform(self, request: HttpRequest, queue: Queue, verb: Verb, limit: int | None) -> None:
        try:
            verb.perform(queue, request.user.get_username(), limit)
        except JobsError as error:
            self.message_user(request, str(error), messages.ERROR)
            return
        said = f"{verb.done} {queue.name}{f': {limit:,}' if limit else ''}."
        self.log_change(request, queue, said)
        self.message_user(request, said, messages.SUCCESS)
