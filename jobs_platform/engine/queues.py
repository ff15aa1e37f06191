"""Queues and environments as people see and hold them: read, pause, resume, change limits.

What a change means for runs that are there already is done after its commit (`settle`), in bounded
batches. Triggers whose transaction is open at that moment do not know of a new limit: their runs
may start beside it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from django.db import DEFAULT_DB_ALIAS, transaction

from jobs_platform.domain.errors import UnknownQueueError, close_matches, did_you_mean
from jobs_platform.engine import caller
from jobs_platform.engine.admit import admit_after_commit
from jobs_platform.engine.environments import environment_id
from jobs_platform.models import Environment, Queue
from jobs_platform.sdk import ports
from jobs_platform.sdk.queue import RateLimit
from jobs_platform.sdk.queue_info import EnvironmentPause, QueueInfo

COUNTED = 100_000
"""How many runs are counted for a queue; for claimable ones, how many of the environment."""
RUNS_PER_BATCH = 2_000
MAX_ROUNDS = 10
_CLAIM_SECONDS = 0.02
"""A claim that is under way is over by then."""


def retrieve_queue(name: str, *, environment: str | None = None) -> QueueInfo:
    """A queue with its counts; `UnknownQueueError` names the nearest."""
    found = _read(environment, names=[name], after="", limit=1)
    if not found:
        raise _unknown(name, environment)
    return found[0]


def list_queues(
    *,
    names: Sequence[str] | None = None,
    after: str = "",
    limit: int = 100,
    environment: str | None = None,
) -> list[QueueInfo]:
    """Queues by name, from behind `after` on, all or those of these `names`."""
    wanted = None if names is None else list(names)
    return _read(environment, names=wanted, after=after, limit=limit)


def pause_queue(name: str, *, by: str = "", environment: str | None = None) -> QueueInfo:
    """No claim takes its runs from the commit on; one that is paused already stays as it is."""
    known = environment_id(environment)
    rows = caller.execute("pause_queue", {"environment_id": known, "queue": name, "by": by})
    if not rows:
        raise _unknown(name, environment)
    if rows[0][0]:
        _settle_after_commit(known, name)
    return retrieve_queue(name, environment=environment)


def resume_queue(name: str, *, environment: str | None = None) -> QueueInfo:
    """End its pause; waiting runs are admitted after the commit, as the limits allow."""
    known = environment_id(environment)
    rows = caller.execute("resume_queue", {"environment_id": known, "queue": name})
    if not rows:
        raise _unknown(name, environment)
    admit_after_commit(known, [name])
    caller.ring_after_commit(_claimable(known))
    return retrieve_queue(name, environment=environment)


def override_concurrency_limit(
    name: str, limit: int, *, by: str = "", environment: str | None = None
) -> QueueInfo:
    """Let `limit` go before the code's one, for live attempts too: they count, and go on."""
    return _override(name, limit, by=by, environment=environment)


def reset_concurrency_limit(name: str, *, environment: str | None = None) -> QueueInfo:
    """Let the code's limit hold again."""
    return _override(name, None, by="", environment=environment)


def environment_pause(*, environment: str | None = None) -> EnvironmentPause:
    """Whether an environment is paused, since when and by whom."""
    with caller.translated():
        row = Environment.objects.get(id=environment_id(environment))
    return EnvironmentPause(row.slug, row.paused_at, row.paused_by)


def pause_environment(*, by: str = "", environment: str | None = None) -> EnvironmentPause:
    """No claim takes any run of it from the commit on; a pause that is there stays as it is."""
    return _pause_environment(environment, is_paused=True, by=by)


def resume_environment(*, environment: str | None = None) -> EnvironmentPause:
    """End its pause, and wake workers for what is claimable."""
    pause = _pause_environment(environment, is_paused=False, by="")
    caller.ring_after_commit(_claimable(environment_id(environment)))
    return pause


def settle(environment_id: int, name: str) -> None:
    """Let a queue's new limit hold for runs that were triggered before: they wait, or count.

    Claimable runs begin to wait, live attempts take slots; then free slots are given away. Does
    nothing to a queue without limits but admit. Not inside a transaction.
    """
    queue = {"environment_id": environment_id, "queue": name}
    for _ in range(MAX_ROUNDS):
        while caller.execute("hold_claimable", queue | {"limit": RUNS_PER_BATCH}):
            pass
        # What is claimable still is being claimed just now: it is to be counted when it executes.
        is_being_claimed = caller.execute("is_unheld", queue)[0][0]
        caller.execute("adopt_attempts", queue)
        if not is_being_claimed:
            break
        threading.Event().wait(_CLAIM_SECONDS)
    admit_after_commit(environment_id, [name])


def _override(name: str, limit: int | None, *, by: str, environment: str | None) -> QueueInfo:
    known = environment_id(environment)
    params = {"environment_id": known, "queue": name, "override_limit": limit, "by": by}
    if not caller.in_transaction():
        # The lock of the queue's row lets nobody admit before live attempts count.
        with caller.own_transaction():
            rows = caller.execute("override_limit", params)
            caller.execute("adopt_attempts", {"environment_id": known, "queue": name})
    else:
        rows = caller.execute("override_limit", params)
    if not rows:
        raise _unknown(name, environment)
    _settle_after_commit(known, name)
    return retrieve_queue(name, environment=environment)


def _pause_environment(environment: str | None, *, is_paused: bool, by: str) -> EnvironmentPause:
    known = environment_id(environment)
    params = {"environment_id": known, "is_paused": is_paused, "by": by}
    ((paused_at, paused_by),) = caller.execute("pause_environment", params)
    return EnvironmentPause(_slug(environment), paused_at, paused_by)


def _claimable(environment_id: int) -> dict[str, int]:
    rows = caller.execute("claimable_worker_queues", {"environment_id": environment_id})
    return {row[0]: 1 for row in rows}


def _settle_after_commit(environment_id: int, name: str) -> None:
    _after_commit(partial(settle, environment_id, name))


def _after_commit(work: Callable[[], None]) -> None:
    """A transaction that is managed by hand never calls back."""
    if caller.connection().in_atomic_block:
        transaction.on_commit(work, using=DEFAULT_DB_ALIAS, robust=True)
    elif caller.connection().get_autocommit():
        work()


def _read(
    environment: str | None, *, names: Sequence[str] | None, after: str, limit: int
) -> list[QueueInfo]:
    params = {
        "environment_id": environment_id(environment),
        "names": names,
        "after": after,
        "limit": limit,
        "most": COUNTED,
    }
    return [_info(row, _slug(environment)) for row in caller.execute("queue_infos", params)]


def _info(row: tuple[Any, ...], environment: str) -> QueueInfo:
    (
        name, limit, key_limit, override, overridden_at, overridden_by, paused_at, paused_by,
        on_conflict, rate_limit, window, per_key, on_limit, max_length, admit_at, running, slots,
        waiting, claimable,
    ) = row  # fmt: skip
    return QueueInfo(
        name=name,
        environment=environment,
        concurrency_limit=limit,
        override_limit=override,
        effective_limit=limit if override is None else override,
        overridden_at=overridden_at,
        overridden_by=overridden_by,
        key_concurrency_limit=key_limit,
        on_conflict=on_conflict,
        rate_limit=RateLimit(rate_limit, window, per_key, on_limit) if rate_limit else None,
        next_start_at=admit_at,
        max_length=max_length,
        is_paused=paused_at is not None,
        paused_at=paused_at,
        paused_by=paused_by,
        running=running,
        slots_in_use=slots,
        queued=waiting + claimable,
        is_queued_capped=max(waiting, claimable) >= COUNTED,
    )


def _slug(environment: str | None) -> str:
    return environment or ports.configuration().environment


def _unknown(name: str, environment: str | None) -> UnknownQueueError:
    with caller.translated():
        rows = Queue.objects.filter(environment_id=environment_id(environment))
        names = list(rows.order_by("name").values_list("name", flat=True)[:COUNTED])
    hint = did_you_mean(close_matches(name, names))
    return UnknownQueueError(queue=name, environment=_slug(environment), suggestion=hint)
