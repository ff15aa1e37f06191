"""Small pieces of HTML that several pages share: badges, chips, instants, links."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from jobs_platform.domain.ids import encode
from jobs_platform.domain.lifecycle import FAILURES, Status

from .formats import duration_text

NOTHING = "—"

_TONES: Mapping[str, str] = {
    **dict.fromkeys(FAILURES, "bad"),
    Status.COMPLETED: "good",
    Status.EXECUTING: "busy",
    Status.QUEUED: "open",
    Status.DELAYED: "open",
    Status.WAITING: "open",
    Status.EXPIRED: "odd",
}


def badge(text: str, tone: str = "") -> SafeString:
    """A word on a coloured ground; the word says it all, the colour only repeats it."""
    return format_html('<span class="jobs-badge jobs-{}">{}</span>', tone or "plain", text)


def status_badge(status: str) -> SafeString:
    return badge(status.replace("_", " ").lower(), _TONES.get(status, ""))


def tag_chips(tags: Iterable[str]) -> SafeString:
    """Each tag, as a link to the runs that have it."""
    return format_html_join(
        " ",
        '<a class="jobs-chip" href="{}">{}</a>',
        ((runs_url(tag=tag), tag) for tag in tags),
    )


def instant(at: datetime | None, *, is_relative: bool = False) -> SafeString | str:
    """A date and time to the second; or how long ago, with the exact time as a title."""
    if at is None:
        return NOTHING
    local = timezone.localtime(at)
    exact = local.strftime("%Y-%m-%d %H:%M:%S")
    full = f"{exact}.{local.microsecond // 1000:03d} {local.tzname()}"
    text = relative(at) if is_relative else exact
    return format_html('<time datetime="{}" title="{}">{}</time>', at.isoformat(), full, text)


def relative(at: datetime) -> str:
    """`4 min ago`, `in 20 s`; coarser than a duration, because it ages while it is read."""
    seconds = (timezone.now() - at).total_seconds()
    if abs(seconds) < 1:
        return "now"
    size = next((size for size in (86_400, 3_600, 60) if abs(seconds) >= size), 1)
    text = duration_text(abs(seconds) // size * size).replace(".0 s", " s")
    return f"{text} ago" if seconds > 0 else f"in {text}"


def link(url: str, text: Any, *, is_code: bool = False) -> SafeString:
    return format_html('<a class="jobs-link{}" href="{}">{}</a>', " jobs-code" * is_code, url, text)


def page_url(model: str, key: object) -> str:
    """The page of one object of the platform."""
    return reverse(f"admin:jobs_{model}_change", args=[key])


def runs_url(**filters: Any) -> str:
    """The list of runs, filtered."""
    return f"{reverse('admin:jobs_run_changelist')}?{urlencode(filters, doseq=True)}"


def run_link(run_id: UUID | None) -> SafeString | str:
    return _id_link("run", "run", run_id)


def batch_link(batch_id: UUID | None) -> SafeString | str:
    return _id_link("batch", "batch", batch_id)


def schedule_link(schedule_id: UUID | None) -> SafeString | str:
    return _id_link("schedule", "sched", schedule_id)


def _id_link(model: str, prefix: str, key: UUID | None) -> SafeString | str:
    return link(page_url(model, key), encode(prefix, key), is_code=True) if key else NOTHING
