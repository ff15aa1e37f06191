"""`locals`, `tags` and `usage`: small things that a run keeps or asks about itself."""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any

from asgiref.sync import sync_to_async

from jobs_platform.domain.errors import InvalidTagError
from jobs_platform.domain.tags import check_tags
from jobs_platform.sdk.context import active_run
from jobs_platform.sdk.logger import logger
from jobs_platform.sdk.ports import engine


class Locals:
    """Values that middleware, hooks and the function of one attempt share."""

    __slots__ = ()

    def get(self, key: Hashable, default: Any = None) -> Any:
        return active_run("locals.get").locals.get(key, default)

    def get_or_raise(self, key: Hashable) -> Any:
        """The value; `KeyError` when nothing was set."""
        return active_run("locals.get_or_raise").locals[key]

    def set(self, key: Hashable, value: Any) -> None:
        active_run("locals.set").locals[key] = value


class Tags:
    """Adds tags to the run that executes here. A bad tag is logged and left out."""

    __slots__ = ()

    def add(self, *tags: str | Iterable[str]) -> None:
        active = active_run("tags.add")
        known = active.facts.tags + active.added_tags
        try:
            given = [tag for group in tags for tag in check_tags(group)]
            new = tuple(dict.fromkeys(tag for tag in given if tag not in known))
            check_tags(known + new)
        except InvalidTagError as error:
            logger.error(f"tags.add: {error}")
            return
        if new and not active.is_local:
            engine().add_tags(active.facts.id, new)
        active.added_tags += new

    async def aadd(self, *tags: str | Iterable[str]) -> None:
        await sync_to_async(self.add)(*tags)


@dataclass(frozen=True, slots=True)
class Usage:
    """What an attempt has used so far."""

    duration_ms: float
    cpu_seconds: float
    """Of the attempt's thread; of the whole process in async functions, which share a thread."""
    attempt_number: int


class UsageMeter:
    """Tells a run what it has used."""

    __slots__ = ()

    def current(self) -> Usage:
        active = active_run("usage.current")
        return Usage(
            duration_ms=(time.monotonic() - active.started_monotonic) * 1000,
            cpu_seconds=max(0.0, active.cpu_clock() - active.started_cpu),
            attempt_number=active.facts.attempt_number,
        )


locals = Locals()  # noqa: A001 - the public name, as in Trigger.dev
tags = Tags()
usage = UsageMeter()
