"""Slots of limited queues and keys: freed with the end of an attempt, given away afterwards.

Freeing belongs to the transaction that ends the attempt; admission comes after its commit, in
transactions of its own, so that trouble with a neighbour can never undo a finish.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from jobs_platform.engine.line import Line, Row

AT_MOST = 500
"""Runs that one admission makes claimable; the queue's row is locked that long."""

Freed = dict[tuple[int, str], set[str]]
"""Keys by environment and queue."""


def free_params(ended: Sequence[tuple[UUID, int]]) -> dict[str, Any]:
    """The arrays of `free_slots.sql`, for (run, token) of ended attempts."""
    return {
        "run_ids": [run_id for run_id, _ in ended],
        "tokens": [token for _, token in ended],
    }


def admit_params(
    environment_id: int, queue: str, *, freed: Collection[str] | None
) -> dict[str, Any]:
    """The parameters of `admit.sql`."""
    return {
        "environment_id": environment_id,
        "queue": queue,
        "at_most": AT_MOST,
        "freed": None if freed is None else sorted(freed),
    }


def freed_of(rows: Sequence[Row]) -> Freed:
    """What `free_slots.sql` answered."""
    return {(environment_id, queue): set(keys) for environment_id, queue, keys in rows}


def merge(freed: Freed, more: Mapping[tuple[int, str], set[str]]) -> None:
    """Add `more` to `freed`."""
    for queue, keys in more.items():
        freed.setdefault(queue, set()).update(keys)


def admit_freed(line: Line, freed: Mapping[tuple[int, str], set[str]]) -> Counter[str]:
    """Give away what was freed; returns how many runs became claimable in each worker queue."""
    admitted: Counter[str] = Counter()
    for (environment_id, queue), keys in sorted(freed.items()):
        admitted += admit(line, environment_id, queue, freed=keys)
    return admitted


def admit(
    line: Line, environment_id: int, queue: str, *, freed: Collection[str] | None = None
) -> Counter[str]:
    """Give away the free slots of a queue; without `freed` any key may have got room."""
    rows = line.execute("admit", admit_params(environment_id, queue, freed=freed))
    return Counter(dict(rows))
