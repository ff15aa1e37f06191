"""Queues that refuse runs: those that are full, whose key is busy, or whose rate is reached.

What is seen here holds until the caller's transaction ends only for busy keys, which are locked: a
queue may become longer than its `max_length` by what others trigger at the same moment.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from jobs_platform.domain.errors import InvalidOptionError, QueueConflictError, QueueFullError
from jobs_platform.domain.ids import encode
from jobs_platform.engine import caller
from jobs_platform.sdk.ports import TriggerRequest

Strict = Mapping[str, Any]
"""A queue's name, max_length, on_conflict and rate_on_limit, as its row has them."""


def refuse_what_queues_do_not_take(
    queues: Sequence[Strict], requests: Sequence[TriggerRequest], *, environment_id: int
) -> None:
    """`QueueRefusedError` unless every queue takes its requests. Needs an open transaction."""
    by_name = {queue["name"]: queue for queue in queues}
    refuse_busy_keys(by_name, requests, environment_id=environment_id)
    refuse_beyond_max_length(by_name, requests, environment_id=environment_id)
    refuse_over_rate(by_name, requests, environment_id=environment_id)


def refuse_busy_keys(
    queues: Mapping[str, Strict], requests: Sequence[TriggerRequest], *, environment_id: int
) -> None:
    """`QueueConflictError` where a run of the same key is not over (on_conflict="refuse").

    Exact: whoever triggers with the same key waits here until the caller's transaction ends.
    """
    wanted: set[tuple[str, str]] = set()
    for request in requests:
        queue = queues.get(request.queue)
        if queue is None or queue["on_conflict"] != "refuse" or not request.concurrency_keys:
            continue
        if len(request.concurrency_keys) > 1:
            reason = f"has several keys, but queue {request.queue!r} refuses one that is busy"
            raise InvalidOptionError(
                option="concurrency_key", value=request.concurrency_keys, reason=reason
            )
        pair = (request.queue, request.concurrency_keys[0])
        if pair in wanted:
            raise QueueConflictError(queue=pair[0], key=pair[1], busy="another item of this batch")
        wanted.add(pair)
    if not wanted:
        return
    ordered = sorted(wanted)
    params = {
        "environment_id": environment_id,
        "queues": [name for name, _ in ordered],
        "keys": [key for _, key in ordered],
    }
    caller.execute("lock_keys", params)
    for name, key, run_id in caller.execute("busy_keys", params):
        raise QueueConflictError(queue=name, key=key, busy=encode("run", run_id))


def refuse_beyond_max_length(
    queues: Mapping[str, Strict], requests: Sequence[TriggerRequest], *, environment_id: int
) -> None:
    """`QueueFullError` where more would wait than `max_length`; delayed runs do not count."""
    wanted = Counter(
        request.queue for request in requests if not request.is_delayed and request.queue in queues
    )
    limits = {name: queues[name]["max_length"] for name in wanted}
    names = sorted(name for name, limit in limits.items() if limit is not None)
    if not names:
        return
    params = {
        "environment_id": environment_id,
        "queues": names,
        "limits": [limits[name] for name in names],
    }
    for name, length in caller.execute("queue_lengths", params):
        if length + wanted[name] > limits[name]:
            raise QueueFullError(
                queue=name, waiting=length, wanted=wanted[name], limit=limits[name]
            )


def refuse_over_rate(
    queues: Mapping[str, Strict], requests: Sequence[TriggerRequest], *, environment_id: int
) -> None:
    """Refuse what a rate limit with on_limit="refuse" has no room for.

    To be written with the counting of starts, which is admission's; until then such runs wait.
    """
