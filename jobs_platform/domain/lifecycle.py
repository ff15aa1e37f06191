"""The statuses of a run and the moves between them.

Owns the one table that every other place derives from: the ledger's guards, the CHECKs of the
database, the timeline's words and the diagram in ARCHITECTURE.md. No other module spells a status.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """Where a run stands."""

    DELAYED = "DELAYED"
    """Accepted, not yet due for its queue."""
    QUEUED = "QUEUED"
    """Claimable as soon as its time has come: a new run, or one between two attempts."""
    EXECUTING = "EXECUTING"
    """An attempt of a worker is live."""
    WAITING = "WAITING"
    """Suspended at a durable wait; holds neither worker nor slot."""
    COMPLETED = "COMPLETED"
    """The function returned; its output is stored."""
    FAILED = "FAILED"
    """The function raised on its last attempt, aborted, or was given a bad payload."""
    CANCELED = "CANCELED"
    """A person or a parent cancelled it."""
    CRASHED = "CRASHED"
    """The process of its last attempt died."""
    SYSTEM_FAILURE = "SYSTEM_FAILURE"
    """The platform could not run it; the fault is ours or the deployment's."""
    TIMED_OUT = "TIMED_OUT"
    """The attempt used more active time than its maximum duration."""
    EXPIRED = "EXPIRED"
    """Its time to live passed before the first start."""


FINAL = frozenset(
    {
        Status.COMPLETED,
        Status.FAILED,
        Status.CANCELED,
        Status.CRASHED,
        Status.SYSTEM_FAILURE,
        Status.TIMED_OUT,
        Status.EXPIRED,
    }
)
LIVE = frozenset(Status) - FINAL
FAILURES = FINAL - {Status.COMPLETED, Status.CANCELED, Status.EXPIRED}
"""Ends that `on_failure` calls an error and that free an idempotency key (with EXPIRED)."""


@dataclass(frozen=True, slots=True)
class Move:
    """One arrow of the lifecycle."""

    name: str
    sources: frozenset[Status]
    target: Status
    announces: str
    by_worker: bool = False
    """A move of a worker names its attempt; the ledger refuses it when the attempt is not live."""


def _move(
    name: str, sources: set[Status], target: Status, announces: str, *, by_worker: bool = False
) -> Move:
    return Move(name, frozenset(sources), target, announces, by_worker)


_S = Status

MOVES: dict[str, Move] = {
    move.name: move
    for move in (
        _move("trigger", set(), _S.QUEUED, "Triggered"),
        _move("trigger_delayed", set(), _S.DELAYED, "Triggered with a delay"),
        _move("debounce", {_S.DELAYED}, _S.DELAYED, "Pushed back by another trigger"),
        _move("reschedule", {_S.DELAYED}, _S.DELAYED, "Rescheduled"),
        _move("queue", {_S.DELAYED}, _S.QUEUED, "Delay over"),
        _move("claim", {_S.QUEUED}, _S.EXECUTING, "Attempt started"),
        _move("complete", {_S.EXECUTING}, _S.COMPLETED, "Completed", by_worker=True),
        _move("fail", {_S.EXECUTING}, _S.FAILED, "Failed", by_worker=True),
        _move(
            "retry", {_S.EXECUTING}, _S.QUEUED, "Attempt failed, retry scheduled", by_worker=True
        ),
        _move("give_back", {_S.EXECUTING}, _S.QUEUED, "Given back unstarted", by_worker=True),
        _move("suspend", {_S.EXECUTING}, _S.WAITING, "Waiting", by_worker=True),
        _move("resume", {_S.WAITING}, _S.QUEUED, "Wait over"),
        _move("crash", {_S.EXECUTING}, _S.CRASHED, "Crashed", by_worker=True),
        _move("time_out", {_S.EXECUTING}, _S.TIMED_OUT, "Maximum duration reached", by_worker=True),
        _move(
            "break_down", {_S.QUEUED, _S.EXECUTING, _S.WAITING}, _S.SYSTEM_FAILURE, "System failure"
        ),
        _move("expire", {_S.DELAYED, _S.QUEUED}, _S.EXPIRED, "Expired before its first start"),
        _move("cancel", set(LIVE), _S.CANCELED, "Cancelled"),
    )
}


def is_final(status: str) -> bool:
    """Whether no move leads out of this status."""
    return status in FINAL


def sources_of(target: Status, *, by_worker: bool) -> frozenset[Status]:
    """All statuses from which a move of this kind may reach `target`."""
    found: set[Status] = set()
    for move in MOVES.values():
        if move.target is target and move.by_worker is by_worker:
            found |= move.sources
    return frozenset(found)


def mermaid() -> str:
    """The state diagram of ARCHITECTURE.md, generated so that it cannot drift."""
    lines = ["stateDiagram-v2"]
    for move in MOVES.values():
        sources = [str(source) for source in sorted(move.sources)] or ["[*]"]
        lines += [f"    {source} --> {move.target}: {move.name}" for source in sources]
    lines += [f"    {status} --> [*]" for status in sorted(FINAL)]
    return "\n".join(lines) + "\n"
