"""`marks` for templates."""

from __future__ import annotations

from datetime import datetime

from django import template
from django.utils import timezone
from django.utils.safestring import SafeString

from .. import marks  # noqa: TID252 the package has another name in the wheel

register = template.Library()

_LEVELS = frozenset({"debug", "warn", "error"})
"""Levels with a colour of their own."""

for _mark in (
    marks.status_badge,
    marks.tag_chips,
    marks.instant,
    marks.run_link,
    marks.batch_link,
    marks.schedule_link,
):
    register.filter(_mark.__name__, _mark)


@register.filter
def ago(at: datetime) -> SafeString | str:
    """How long ago, or until when, with the exact time as a title."""
    return marks.instant(at, is_relative=True)


@register.filter
def exact(at: datetime) -> str:
    """To the millisecond."""
    return timezone.localtime(at).isoformat(sep=" ", timespec="milliseconds")


@register.filter
def clock(at: datetime) -> str:
    """The time of day, to the millisecond."""
    return timezone.localtime(at).time().isoformat(timespec="milliseconds")


@register.filter
def level_class(level: str) -> str:
    """The part of a class name that colours a log line."""
    return level if level in _LEVELS else "plain"


@register.simple_tag
def test_badge() -> SafeString:
    return marks.badge("test", "odd")


@register.simple_tag
def stopping_badge() -> SafeString:
    """An attempt whose run was cancelled, and which has not ended yet."""
    return marks.badge("stopping", "odd")
