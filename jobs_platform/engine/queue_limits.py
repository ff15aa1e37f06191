"""Rows of queues: made on the way of a trigger, changed after its commit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from json import dumps
from typing import Any

from django.db import DEFAULT_DB_ALIAS, transaction

from jobs_platform.domain.errors import InvalidOptionError
from jobs_platform.engine import caller
from jobs_platform.engine.admit import admit_after_commit
from jobs_platform.sdk.ports import TriggerRequest
from jobs_platform.sdk.queue import Queue

Said = dict[str, Any]
"""What triggers say of a queue: an element of `queues` in `trigger_batch.sql`."""


def queues_said(requests: Sequence[TriggerRequest]) -> dict[str, Said]:
    """What these requests say of their queues, by name; refuses two that contradict each other."""
    said: dict[str, Said] = {}
    limits: dict[str, Queue] = {}
    for request in requests:
        one = said.setdefault(request.queue, {"name": request.queue})
        if request.names_queue or request.concurrency_keys:
            one["is_needed"] = True
        if request.queue_limits is not None:
            known = limits.setdefault(request.queue, request.queue_limits)
            if known != request.queue_limits:
                reason = f"is said to have other limits in the same batch: {known!r}"
                raise InvalidOptionError(option="queue", value=request.queue_limits, reason=reason)
    for name, queue in limits.items():
        said[name] |= {
            "is_needed": True,
            "is_limited": queue.is_limited,
            "limits": queue.definition(),
        }
    return said


def make_queues(said: Sequence[Said], *, environment_id: int) -> None:
    """Make rows that are missing, in the caller's transaction: no run waits in a queue without.

    Waits for an open transaction that makes a queue of the same name.
    """
    caller.execute("make_queues", _params(said, environment_id))


def change_after_commit(said: Sequence[Said], *, environment_id: int) -> None:
    """Let rows say what the code says, when the caller has committed.

    Not before: whoever admits in the queue would wait for the caller. Where the process ends
    between the two, the next trigger or the next start of a worker does it.
    """
    _after_commit(partial(_change, list(said), environment_id))


def _change(said: list[Said], environment_id: int) -> None:
    changed = caller.execute("change_queues", _params(said, environment_id))
    if changed:
        admit_after_commit(environment_id, [row[0] for row in changed])


def _after_commit(work: Callable[[], None]) -> None:
    """A transaction that is managed by hand never calls back."""
    if caller.connection().in_atomic_block:
        transaction.on_commit(work, using=DEFAULT_DB_ALIAS, robust=True)
    elif caller.connection().get_autocommit():
        work()


def _params(said: Sequence[Said], environment_id: int) -> dict[str, Any]:
    queues = [{"name": one["name"], **one.get("limits", {})} for one in said]
    return {"environment_id": environment_id, "queues": dumps(queues)}
