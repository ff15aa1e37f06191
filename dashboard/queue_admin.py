"""Queues: limits as code declared them and people changed them, and how many runs there are."""

from __future__ import annotations

from collections import defaultdict

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs_platform.models import Queue
from jobs_platform.sdk import ports
from jobs_platform.sdk.queue_info import QueueInfo

from .filters import EnvironmentFilter
from .formats import duration_text
from .lists import CappedChangeList
from .marks import badge, instant, link, runs_url
from .queue_actions import QueueActions
from .read_only import ReadOnlyAdmin


class QueueChangeList(CappedChangeList):
    """Counts the runs of all queues on the page in one question for each environment."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)
        names: dict[str, list[str]] = defaultdict(list)
        for queue in self.result_list:
            names[queue.environment.slug].append(queue.name)
        infos = {
            (slug, info.name): info
            for slug, wanted in names.items()
            for info in ports.engine().list_queues(
                names=wanted, limit=len(wanted), environment=slug
            )
        }
        for queue in self.result_list:
            queue.info = infos.get((queue.environment.slug, queue.name))


@admin.register(Queue)
class QueueAdmin(QueueActions, ReadOnlyAdmin):
    """Limits are declared with the queue; here they are shown, and overridden for a while."""

    list_display = (
        "name", "environment", "state", "running", "queued", "limit", "key_limit", "rate", "runs",
    )  # fmt: skip
    list_filter = (EnvironmentFilter,)
    list_select_related = ("environment",)
    search_fields = ("name",)
    ordering = ("name", "id")
    fields = (
        "name", "environment", "state", "running", "queued", "slots_in_use", "limit", "declared",
        "key_limit", "busy_key", "rate", "next_start", "longest", "created", "runs",
    )  # fmt: skip

    def get_changelist(self, request: HttpRequest, **_: object) -> type[CappedChangeList]:
        return QueueChangeList

    def get_queryset(self, request: HttpRequest) -> QuerySet[Queue]:
        return super().get_queryset(request).select_related("environment")

    @admin.display(description="State")
    def state(self, queue: Queue) -> SafeString:
        if queue.paused_at is None:
            return badge("open", "good")
        by = f" by {queue.paused_by}" if queue.paused_by else ""
        since = instant(queue.paused_at, is_relative=True)
        return format_html("{} {}{}", badge("paused", "odd"), since, by)

    @admin.display(description="Running")
    def running(self, queue: Queue) -> str | None:
        info = _info(queue)
        return f"{info.running:,}" if info else None

    @admin.display(description="Queued")
    def queued(self, queue: Queue) -> str | None:
        info = _info(queue)
        return f"{info.queued:,}{'+' if info.is_queued_capped else ''}" if info else None

    @admin.display(description="Slots in use")
    def slots_in_use(self, queue: Queue) -> str | None:
        info = _info(queue)
        return f"{info.slots_in_use:,}" if info else None

    @admin.display(description="Concurrency limit")
    def limit(self, queue: Queue) -> SafeString | str:
        if queue.override_limit is None:
            return f"{queue.concurrency_limit:,}" if queue.concurrency_limit else "none"
        by = f" by {queue.overridden_by}" if queue.overridden_by else ""
        when = instant(queue.overridden_at, is_relative=True)
        return format_html(
            "{} {}{} {}", f"{queue.override_limit:,}", badge("overridden", "odd"), by, when
        )

    @admin.display(description="Limit in the code")
    def declared(self, queue: Queue) -> str:
        return f"{queue.concurrency_limit:,}" if queue.concurrency_limit else "none"

    @admin.display(description="Limit per key")
    def key_limit(self, queue: Queue) -> int:
        return queue.key_concurrency_limit or 1

    @admin.display(description="When a key is busy")
    def busy_key(self, queue: Queue) -> str:
        return queue.on_conflict.replace("_", " ")

    @admin.display(description="Rate limit")
    def rate(self, queue: Queue) -> str | None:
        if not queue.rate_limit or not queue.rate_window_seconds:
            return None
        each = " for each key" if queue.rate_per_key else ""
        return f"{queue.rate_limit:,} in {duration_text(queue.rate_window_seconds)}{each}"

    @admin.display(description="Next start")
    def next_start(self, queue: Queue) -> SafeString | str:
        return instant(queue.admit_at)

    @admin.display(description="Longest")
    def longest(self, queue: Queue) -> str | None:
        return f"{queue.max_length:,} runs" if queue.max_length else None

    @admin.display(description="Created")
    def created(self, queue: Queue) -> SafeString | str:
        return instant(queue.created_at)

    @admin.display(description="Runs")
    def runs(self, queue: Queue) -> SafeString:
        url = runs_url(queue=queue.name, environment=queue.environment.slug)
        return link(url, "Show runs")


def _info(queue: Queue) -> QueueInfo | None:
    """Its counts; None where it has gone meanwhile."""
    if not hasattr(queue, "info"):
        slug = queue.environment.slug
        found = ports.engine().list_queues(names=[queue.name], limit=1, environment=slug)
        queue.info = found[0] if found else None
    info: QueueInfo | None = queue.info
    return info
