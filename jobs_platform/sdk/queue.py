"""`Queue`: where runs line up, and how many of them may run at once."""

from __future__ import annotations

import re
from dataclasses import dataclass

from jobs_platform.domain.errors import InvalidOptionError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./:-]{0,127}")
MAX_LIMIT = 1_000_000


@dataclass(frozen=True, slots=True)
class Queue:
    """A named queue; without limits its runs start as soon as a worker is free."""

    name: str
    concurrency_limit: int | None = None
    """All its runs together; None is unlimited."""
    key_concurrency_limit: int | None = None
    """The runs of each concurrency key."""

    def __post_init__(self) -> None:
        check_queue_name(self.name)
        _check_limit("concurrency_limit", self.concurrency_limit)
        _check_limit("key_concurrency_limit", self.key_concurrency_limit)


def check_queue_name(name: str) -> str:
    """`name` when a queue may be called so."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        reason = "is not 1 to 128 letters, digits or - _ . / :, beginning with a letter or digit"
        raise InvalidOptionError(option="queue", value=name, reason=reason)
    return name


def queue_name(queue: Queue | str) -> str:
    """The name of a queue given as itself or by name."""
    return queue.name if isinstance(queue, Queue) else check_queue_name(queue)


def _check_limit(option: str, limit: int | None) -> None:
    if limit is None:
        return
    if isinstance(limit, bool) or not isinstance(limit, int) or not 0 < limit <= MAX_LIMIT:
        reason = f"is not a whole number from 1 to {MAX_LIMIT:,}; leave it out for no limit"
        raise InvalidOptionError(option=option, value=limit, reason=reason)
