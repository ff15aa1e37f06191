"""The filters of the run list, and its search. Each asks for columns that an index can answer, or
is bounded by the page's time limit.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminTextInputWidget

from jobs_platform.domain.lifecycle import Status
from jobs_platform.models import Queue, Run, TaskDefinition

from .filters import (
    MAX_CHOICES,
    Choice,
    ChoiceFilter,
    EnvironmentFilter,
    FormFilter,
    IdFilter,
    TextFilter,
)
from .formats import read_id

Runs = QuerySet[Run]

_CLOCKS_DIFFER = timedelta(hours=1)
"""An id is made by the caller's clock before its row's transaction ends: so far may they differ."""
_FIRST_DAY, _LAST_DAY = date(1971, 1, 1), date(9000, 1, 1)


class StatusFilter(FormFilter):
    """Runs in any of the ticked statuses."""

    title = "status"
    names = ("status",)

    def fields(self) -> dict[str, forms.Field]:
        field = forms.MultipleChoiceField(
            label="By status",
            choices=[(status, status.replace("_", " ").capitalize()) for status in Status],
            required=False,
            widget=UnfoldAdminCheckboxSelectMultipleWidget,
        )
        return {"status": field}

    def values_for_form(self) -> dict[str, Any]:
        return self.values

    def queryset(self, request: HttpRequest, queryset: Runs) -> Runs:
        return queryset.filter(status__in=self.values["status"]) if self.has_value() else queryset


class TaskFilter(ChoiceFilter):
    """Runs of one task; the choices are what workers have registered."""

    title = "task"
    names = ("task",)

    def options(self) -> Iterable[Choice]:
        known = TaskDefinition.objects.order_by("task_id").values_list("task_id", flat=True)
        return [(task_id, task_id) for task_id in known.distinct()[:MAX_CHOICES]]

    def queryset(self, request: HttpRequest, queryset: Runs) -> Runs:
        return queryset.filter(task_id=self.value()) if self.has_value() else queryset


class QueueFilter(TextFilter):
    """Runs of one queue. Typed, for there may be a queue for each of a thousand tenants."""

    title = "queue"
    names = ("queue",)

    def suggestions(self) -> Iterable[str]:
        names = Queue.objects.order_by("name").values_list("name", flat=True)
        return list(names.distinct()[:MAX_CHOICES])

    def queryset(self, request: HttpRequest, queryset: Runs) -> Runs:
        return queryset.filter(queue=self.value()) if self.has_value() else queryset


class TagFilter(TextFilter):
    """Runs that have one tag."""

    title = "tag"
    names = ("tag",)
    placeholder = "user:7"

    def queryset(self, request: HttpRequest, queryset: Runs) -> Runs:
        return queryset.filter(tagged(self.value())) if self.has_value() else queryset


class BatchFilter(IdFilter):
    title = "batch"
    names = ("batch",)
    prefix = "batch"
    column = "batch_id"


class ParentFilter(IdFilter):
    """The children of one run; there while it is used, as a link from the parent's page."""

    title = "parent run"
    names = ("parent",)
    prefix = "run"
    column = "parent_id"

    def has_output(self) -> bool:
        return self.has_value()


class ScheduleFilter(IdFilter):
    """The runs of one schedule; there while it is used, as a link from the schedule's page."""

    title = "schedule"
    names = ("schedule",)
    prefix = "sched"
    column = "schedule_id"

    def has_output(self) -> bool:
        return self.has_value()

    def queryset(self, request: HttpRequest, queryset: Runs) -> Runs:
        found = super().queryset(request, queryset)
        # Says what the partial index on (schedule, scheduled_at) needs to hear.
        return found.filter(scheduled_at__isnull=False) if self.has_value() else found


class CreatedFilter(FormFilter):
    """Runs created from one day to another, both included, in the current time zone."""

    title = "created"
    names = ("created_from", "created_to")

    def fields(self) -> dict[str, forms.Field]:
        labels = ("Created from", "Created to")
        return {
            name: forms.CharField(
                label=label,
                required=False,
                widget=UnfoldAdminTextInputWidget(attrs={"type": "date"}),
            )
            for name, label in zip(self.names, labels, strict=True)
        }

    def queryset(self, request: HttpRequest, queryset: Runs) -> Runs:
        first, last = (read_day(self.value(name)) for name in self.names)
        if first:
            start = _midnight(first)
            queryset = queryset.filter(
                created_at__gte=start, id__gte=_id_at(start - _CLOCKS_DIFFER)
            )
        if last:
            end = _midnight(last + timedelta(days=1))
            queryset = queryset.filter(created_at__lt=end, id__lt=_id_at(end + _CLOCKS_DIFFER))
        return queryset


RUN_FILTERS = (
    StatusFilter,
    TaskFilter,
    TagFilter,
    QueueFilter,
    EnvironmentFilter,
    CreatedFilter,
    BatchFilter,
    ParentFilter,
    ScheduleFilter,
)


def tagged(tag: str) -> Q:
    """Runs with a tag. Runs without any are left out in the words of the partial index on tags."""
    return Q(tags__contains=[tag]) & ~Q(tags=[])


def search_runs(runs: Runs, text: str) -> Runs:
    """The run or the batch with this public id, the run with this UUID; else the runs of the task
    or with the tag that is called so.
    """
    wanted = text.strip()
    if not wanted or "\x00" in wanted:
        return runs if not wanted else runs.none()
    run_id = read_id("run", wanted)
    if run_id:
        return runs.filter(id=run_id)
    batch_id = read_id("batch", wanted)
    if batch_id:
        return runs.filter(batch_id=batch_id)
    # Two cheap questions, because task OR tag would be answered by no index at all.
    if not runs.filter(tagged(wanted)).exists():
        return runs.filter(task_id=wanted)
    if TaskDefinition.objects.filter(task_id=wanted).exists():
        return runs.filter(Q(task_id=wanted) | tagged(wanted))
    return runs.filter(tagged(wanted))


def read_day(text: str) -> date | None:
    """An ISO day of this era; None for anything else."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if _FIRST_DAY <= day <= _LAST_DAY else None


def _midnight(day: date) -> datetime:
    """The start of a day in the current time zone."""
    return datetime.combine(day, time(), tzinfo=timezone.get_current_timezone())


def _id_at(at: datetime) -> UUID:
    """The least id that can be made from an instant on: ids begin with their milliseconds."""
    return UUID(int=int(at.timestamp() * 1000) << 80)
