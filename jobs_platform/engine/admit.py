"""Admission on behalf of the caller: after the commit of what made it worth while."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Mapping

from django.db import DEFAULT_DB_ALIAS, transaction

from jobs_platform.domain.errors import JobsError
from jobs_platform.engine import caller
from jobs_platform.engine.slots import admit_params

_log = logging.getLogger(__name__)


def admit_after_commit(
    environment_id: int, queues: Mapping[str, Collection[str] | None] | Collection[str]
) -> None:
    """Give away free slots of these queues when the caller's transaction commits, and ring.

    For each queue the keys that may have got room or a run; None: any. Should it fail, the clock
    does it within a second; so it does where a transaction is managed by hand (autocommit off).
    """
    wanted = dict(queues) if isinstance(queues, Mapping) else dict.fromkeys(queues)
    if not wanted:
        return
    if caller.connection().in_atomic_block:
        transaction.on_commit(
            lambda: _admit(environment_id, wanted), using=DEFAULT_DB_ALIAS, robust=True
        )
    elif not caller.in_transaction():
        _admit(environment_id, wanted)


def _admit(environment_id: int, queues: Mapping[str, Collection[str] | None]) -> None:
    admitted: Counter[str] = Counter()
    try:
        for queue, keys in sorted(queues.items()):
            rows = caller.execute("admit", admit_params(environment_id, queue, freed=keys))
            admitted.update(dict(rows))
    except JobsError as error:
        _log.info("The clock admits instead: %s", error)
    caller.ring_after_commit(admitted)
