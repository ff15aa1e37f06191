"""Slots of limited queues and keys: freed with the end of an attempt, given away afterwards.

Freeing belongs to the transaction that ends the attempt; admission comes after its commit, in
transactions of its own, so that trouble with a neighbour can never undo a finish.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from jobs_platform.engine.line import Line, Row

AT_MOST = 500
"""Runs that one admission makes claimable; the queue's row is locked that long."""

LINES_PER_SWEEP = 500
"""Queues and keys of waiting runs that one sweep looks at."""

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


@dataclass(frozen=True, slots=True)
class Swept:
    """What one sweep over waiting runs has done."""

    admitted: Counter[str]
    """Runs that can be claimed now, by worker queue."""
    goes_on_after: tuple[str, str]
    """Where the next sweep begins: a queue and a key; empty at the beginning."""


def admit_waiting(
    line: Line,
    environment_id: int,
    *,
    after: tuple[str, str] = ("", ""),
    limit: int = LINES_PER_SWEEP,
) -> Swept:
    """Give away what nobody has: slots that were freed without admission, starts whose time came.

    Looks at up to `limit` queues and keys with waiting runs from behind `after` on, and at queues
    whose rate limit lets the next run start now. Any number of clocks may sweep.
    """
    params = {
        "environment_id": environment_id,
        "after_queue": after[0],
        "after_key": after[1],
        "limit": limit,
    }
    rows = line.execute("waiting_lines", params)
    keys: dict[str, set[str]] = {}
    for queue, key, has_room in rows:
        if has_room:
            keys.setdefault(queue, set()).add(key)
    due = {row[0] for row in line.execute("queues_to_admit", {"environment_id": environment_id})}
    admitted: Counter[str] = Counter()
    for queue in sorted(keys.keys() | due):
        freed = None if queue in due else keys[queue]
        admitted += admit(line, environment_id, queue, freed=freed)
    is_end = len(rows) < limit
    return Swept(admitted, ("", "") if is_end else (rows[-1][0], rows[-1][1]))
