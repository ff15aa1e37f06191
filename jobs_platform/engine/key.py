"""Idempotency keys: who holds one, when it is free again, and freeing it by hand."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from uuid import UUID

from jobs_platform.domain.errors import DatabaseUnavailableError
from jobs_platform.engine import caller
from jobs_platform.engine.environments import environment_id as id_of_environment
from jobs_platform.engine.line import Line
from jobs_platform.sdk.ports import TriggerRequest

_LOCK_SECONDS = 0.1

_log = logging.getLogger(__name__)


def runs_that_hold(
    requests: Sequence[TriggerRequest], *, environment_id: int
) -> dict[tuple[str, str] | None, UUID]:
    """The runs that hold the keys of these requests, by (task, key). Frees keys that are aged."""
    wanted = sorted(
        {
            (request.task_id, request.idempotency.held)
            for request in requests
            if request.idempotency is not None
        }
    )
    if not wanted:
        return {}
    params = {
        "environment_id": environment_id,
        "task_ids": [task_id for task_id, _ in wanted],
        "held_keys": [held for _, held in wanted],
    }
    holders: dict[tuple[str, str] | None, UUID] = {}
    aged: list[UUID] = []
    for task_id, held, run_id, is_aged in caller.execute("holders_of_keys", params):
        if is_aged:
            aged.append(run_id)
        else:
            holders[task_id, held] = run_id
    if aged:
        _free_aged(sorted(aged))
    return holders


def reset_key(task_id: str, held_key: str, *, environment: str | None = None) -> bool:
    """Free a key: the next trigger with it makes a new run. False when no run holds it."""
    params = {
        "environment_id": id_of_environment(environment),
        "task_id": task_id,
        "held_key": held_key,
    }
    return bool(caller.execute("reset_key", params))


def _free_aged(run_ids: list[UUID]) -> None:
    """Free keys that are aged, if need be those that only the caller's transaction sees.

    The run may be live: its row must not stay locked until a transaction of the user's commits, for
    the worker that finishes it would wait. So this is done beside that transaction, where possible.
    """
    params = {"run_ids": run_ids}
    if caller.in_transaction():
        try:
            with Line(
                caller.conninfo(),
                application_name="jobs trigger",
                lock_timeout_seconds=_LOCK_SECONDS,
            ) as line:
                line.execute("free_aged_keys", params)
        except DatabaseUnavailableError as error:
            _log.info("Aged keys are freed in the caller's transaction: %s", error)
    caller.execute("free_aged_keys", params)
