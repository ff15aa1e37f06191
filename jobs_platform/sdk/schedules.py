"""`schedules`: tasks with a schedule in their code, and the payload that they get."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Unpack

from jobs_platform.domain.cron import Cron, timezones
from jobs_platform.domain.errors import InvalidOptionError
from jobs_platform.sdk.task import Task, TaskOptions, caller_names, make_task

UPCOMING_COUNT = 5
LATER = ("catch_up", "overlap")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledPayload:
    """What a scheduled run gets; instants are aware, in UTC."""

    timestamp: datetime
    """The nominal time, which is not when the run started."""
    last_timestamp: datetime | None = None
    """The nominal time before; None the first time."""
    timezone: str = "UTC"
    schedule_id: str
    external_id: str | None = None
    upcoming: list[datetime] = field(default_factory=list)
    """The next nominal times."""


class Schedules:
    """Declares scheduled tasks."""

    __slots__ = ()

    def task(
        self,
        *,
        cron: str | Cron | None = None,
        timezone: str | None = None,
        **options: Unpack[TaskOptions],
    ) -> Callable[[Callable[..., Any]], Task]:
        """Declare a task that runs on a schedule; without `cron`, one for schedules made later."""
        given: dict[str, Any] = dict(options)
        for name in LATER:
            if name in given:
                reason = "is not available yet"
                raise InvalidOptionError(option=name, value=given[name], reason=reason)
        checked = _cron(cron, timezone)
        given.setdefault("schema", ScheduledPayload)
        local_names = caller_names(sys._getframe(1))
        return lambda function: make_task(function, given, local_names=local_names, cron=checked)

    def timezones(self) -> list[str]:
        """Names that `timezone=` takes."""
        return timezones()


schedules = Schedules()


def _cron(cron: str | Cron | None, timezone: str | None) -> Cron | None:
    if isinstance(cron, Cron):
        if timezone is not None and timezone != cron.timezone:
            reason = f"differs from that of the Cron ({cron.timezone})"
            raise InvalidOptionError(option="timezone", value=timezone, reason=reason)
        return cron
    if cron is None:
        if timezone is not None:
            reason = "has no meaning without cron="
            raise InvalidOptionError(option="timezone", value=timezone, reason=reason)
        return None
    return Cron(cron, timezone=timezone or "UTC")
