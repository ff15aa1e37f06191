"""Workers: which are live, until when, and what they execute."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.contrib.postgres.functions import TransactionNow
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from jobs_platform.domain.lifecycle import Status
from jobs_platform.models import Claim, Run, Worker

from .filters import Choice, ChoiceFilter, EnvironmentFilter
from .marks import badge, instant, run_link
from .read_only import ReadOnlyAdmin

MAX_EXECUTING = 100

_STATES = {
    "live": Q(stopped_at__isnull=True, lease_until__gt=TransactionNow()),
    "lost": Q(stopped_at__isnull=True, lease_until__lte=TransactionNow()),
    "stopped": Q(stopped_at__isnull=False),
}
_TONES = {"live": "good", "lost": "bad", "stopped": "plain"}


class StateFilter(ChoiceFilter):
    """Workers that are live, lost or stopped."""

    title = "state"
    names = ("state",)

    def options(self) -> Iterable[Choice]:
        return [(state, state.capitalize()) for state in _STATES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Worker]) -> QuerySet[Worker]:
        if not self.has_value():
            return queryset
        wanted = _STATES.get(self.value())
        return queryset.filter(wanted) if wanted else queryset.none()


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin):
    """The newest first; a worker is live while its lease lasts, by the clock of the database."""

    list_display = (
        "title",
        "state",
        "busy",
        "pool",
        "queues",
        "environment",
        "heartbeat",
        "lease",
        "started",
    )
    list_filter = (StateFilter, EnvironmentFilter)
    list_select_related = ("environment",)
    search_fields = ("name",)
    ordering = ("-id",)
    fields = (
        "title",
        "state",
        "executing",
        "busy",
        "pool",
        "queues",
        "environment",
        "heartbeat",
        "lease",
        "started",
        "stopped",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        claims = Claim.objects.filter(worker_id=OuterRef("pk")).order_by().values("worker_id")
        slots = claims.annotate(number_of=Count("slot", distinct=True)).values("number_of")
        return (
            super()
            .get_queryset(request)
            .annotate(busy_slots=Coalesce(Subquery(slots), 0), read_at=TransactionNow())
        )

    @admin.display(description="Worker")
    def title(self, worker: Worker) -> str:
        return str(worker)

    @admin.display(description="State")
    def state(self, worker: Any) -> SafeString:
        if worker.stopped_at:
            state = "stopped"
        else:
            state = "live" if worker.lease_until > worker.read_at else "lost"
        return badge(state, _TONES[state])

    @admin.display(description="Busy slots")
    def busy(self, worker: Any) -> str:
        return f"{worker.busy_slots} of {worker.slots}"

    @admin.display(description="Executes now")
    def executing(self, worker: Worker) -> SafeString | None:
        claimed = Claim.objects.filter(worker_id=worker.pk).values_list("run_ids", flat=True)
        run_ids = [run_id for batch in claimed[:MAX_EXECUTING] for run_id in batch]
        # A claim also names what its slot has finished: the run's row tells which is live.
        runs = (
            Run.objects.filter(pk__in=run_ids, worker_id=worker.pk, status=Status.EXECUTING)
            .only("id", "task_id", "attempt_started_at")
            .order_by("attempt_started_at", "id")[:MAX_EXECUTING]
        )
        rows = [(run_link(run.pk), run.task_id, instant(run.attempt_started_at)) for run in runs]
        if not rows:
            return None
        return format_html(
            '<ul class="jobs-list">{}</ul>',
            format_html_join("", "<li>{} {}, since {}</li>", rows),
        )

    @admin.display(description="Worker queues")
    def queues(self, worker: Worker) -> str:
        return ", ".join(worker.worker_queues)

    @admin.display(description="Heartbeat")
    def heartbeat(self, worker: Worker) -> SafeString | str:
        return instant(worker.heartbeat_at, is_relative=True)

    @admin.display(description="Lease until")
    def lease(self, worker: Worker) -> SafeString | str:
        return instant(worker.lease_until)

    @admin.display(description="Started")
    def started(self, worker: Worker) -> SafeString | str:
        return instant(worker.started_at, is_relative=True)

    @admin.display(description="Stopped")
    def stopped(self, worker: Worker) -> SafeString | str:
        return instant(worker.stopped_at)
