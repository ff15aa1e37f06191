"""What the engine promises, without a database: each run, each claim and each owed hook call.

Deliberately naive: one run at a time, no locks, no statements.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from jobs_platform.domain.lifecycle import FINAL, Status

Paper = tuple[UUID, int]
"""A run and a fencing token: what a slot was told when it claimed."""
ClaimKey = tuple[int, int, int]
"""Worker, slot, number."""

MOVES = {
    "complete": Status.COMPLETED,
    "fail": Status.FAILED,
    "retry": Status.QUEUED,
    "time_out": Status.TIMED_OUT,
    "break_down": Status.SYSTEM_FAILURE,
    "crash": Status.CRASHED,
}


@dataclass(slots=True)
class OwedCall:
    """A hook call that somebody, or anybody, is to make."""

    worker_id: int | None
    slot: int | None
    tries: int = 0


@dataclass(slots=True)
class ModelRun:
    """One run, with all that it has left behind."""

    id: UUID
    max_attempts: int
    parent_id: UUID | None = None
    status: Status = Status.QUEUED
    moves: list[str] = field(default_factory=lambda: ["trigger"])
    attempt_number: int = 0
    token: int = 0
    worker_id: int | None = None
    is_attempt_open: bool = False
    """An attempt is live, or was when the run was cancelled and has not been ended."""
    ended_attempts: list[Status] = field(default_factory=list)
    output: str | None = None
    owed: OwedCall | None = None

    @property
    def is_final(self) -> bool:
        return self.status in FINAL

    @property
    def is_on_its_last_attempt(self) -> bool:
        return self.attempt_number >= self.max_attempts

    def claim(self, worker_id: int) -> None:
        assert self.status is Status.QUEUED
        self._move("claim", Status.EXECUTING)
        self.token += 1
        self.attempt_number += 1
        self.worker_id = worker_id
        self.is_attempt_open = True

    def finish(self, token: int, move: str, *, owed: OwedCall | None, is_lost: bool) -> bool:
        if not self._is_held(token):
            return False
        self._move(move, MOVES[move])
        failed = Status.CRASHED if is_lost else Status.FAILED
        self._end_attempt(failed if move == "retry" else self.status)
        if move == "complete":
            self.output = str(token)
        if self.is_final and owed:
            self.owed = owed
        return True

    def give_back(self, token: int) -> bool:
        if not self._is_held(token):
            return False
        self._move("give_back", Status.QUEUED)
        self.attempt_number -= 1
        self.worker_id = None
        self.is_attempt_open = False
        return True

    def cancel(self, slot: int | None) -> None:
        holder = self.worker_id if self.status is Status.EXECUTING else None
        self._move("cancel", Status.CANCELED)
        self.owed = OwedCall(holder, slot)

    def stop(self, token: int) -> bool:
        """The attempt of a run that was cancelled under it ends."""
        if self.status is not Status.CANCELED or self.token != token or not self.is_attempt_open:
            return False
        self._end_attempt(Status.CANCELED)
        return True

    def release(self) -> None:
        if self.owed:
            self.owed = OwedCall(None, None, self.owed.tries)

    def abandon(self) -> None:
        """Whoever has taken the hook call from the worker of the attempt keeps it."""
        if self.owed and self.owed.worker_id == self.worker_id:
            self.release()

    def _is_held(self, token: int) -> bool:
        return self.status is Status.EXECUTING and self.token == token

    def _move(self, name: str, status: Status) -> None:
        self.moves.append(name)
        self.status = status

    def _end_attempt(self, status: Status) -> None:
        self.ended_attempts.append(status)
        self.is_attempt_open = False


@dataclass(slots=True)
class Brought:
    """What a recovery should say that it has done."""

    retried: set[UUID] = field(default_factory=set)
    crashed: set[UUID] = field(default_factory=set)
    given_back: set[UUID] = field(default_factory=set)


class Model:
    """All runs of one environment and the claims of its workers."""

    def __init__(self) -> None:
        self.runs: dict[UUID, ModelRun] = {}
        self.claims: dict[ClaimKey, list[Paper]] = {}
        self.batches: list[set[UUID]] = []
        self.live_workers: set[int] = set()
        self.lost_workers: set[int] = set()

    def add(self, run_id: UUID, max_attempts: int, parent_id: UUID | None = None) -> None:
        self.runs[run_id] = ModelRun(run_id, max_attempts, parent_id)

    def queued(self) -> set[UUID]:
        return {run.id for run in self.runs.values() if run.status is Status.QUEUED}

    def live(self) -> list[ModelRun]:
        return [run for run in self.runs.values() if not run.is_final]

    def finish(
        self, paper: Paper, move: str, *, owed: OwedCall | None, is_lost: bool = False
    ) -> bool:
        run = self.runs.get(paper[0])
        return run is not None and run.finish(paper[1], move, owed=owed, is_lost=is_lost)

    def stop(self, papers: Iterable[Paper], *, releases: bool) -> set[UUID]:
        stopped = {
            paper[0]
            for paper in papers
            if paper[0] in self.runs and self.runs[paper[0]].stop(paper[1])
        }
        for run_id in sorted(stopped):
            self.cancel(run_id)  # what it has triggered since
        for run_id in stopped if releases else ():
            self.runs[run_id].abandon()
        return stopped

    def cancel(self, run_id: UUID) -> None:
        for run in self.family(run_id):
            if not run.is_final:
                run.cancel(self._slot_of(run))

    def _slot_of(self, run: ModelRun) -> int | None:
        if run.status is not Status.EXECUTING:
            return None
        paper = (run.id, run.token)
        held = (key[1] for key, papers in self.claims.items() if paper in papers)
        return next(held, None)

    def give_back(self, papers: Sequence[Paper]) -> set[UUID]:
        returned = {
            paper[0]
            for paper in papers
            if paper[0] in self.runs and self.runs[paper[0]].give_back(paper[1])
        }
        self.stop([paper for paper in papers if paper[0] not in returned], releases=True)
        return returned

    def family(self, run_id: UUID) -> list[ModelRun]:
        found = {run_id}
        for run in sorted(self.runs.values(), key=lambda run: run.id):
            if run.parent_id in found:
                found.add(run.id)
        return [run for run in self.runs.values() if run.id in found]

    def claims_of(self, worker_id: int, slot: int) -> dict[ClaimKey, list[Paper]]:
        return {key: held for key, held in self.claims.items() if key[:2] == (worker_id, slot)}

    def release_slot(self, worker_id: int, slot: int) -> None:
        for run in self.runs.values():
            if run.owed and (run.owed.worker_id, run.owed.slot) == (worker_id, slot):
                run.release()

    def recover(
        self, keys: Iterable[ClaimKey], unstarted: frozenset[Paper] = frozenset()
    ) -> Brought:
        brought = Brought()
        papers = [paper for key in list(keys) for paper in self.claims.pop(key)]
        known = [paper for paper in papers if paper[0] in self.runs]
        cancelled = [paper for paper in known if self.runs[paper[0]].status is Status.CANCELED]
        for paper in known:
            if paper not in cancelled:
                self._recover(paper, brought, is_started=paper not in unstarted)
        self.stop(cancelled, releases=True)
        return brought

    def _recover(self, paper: Paper, brought: Brought, *, is_started: bool) -> None:
        run, token = self.runs[paper[0]], paper[1]
        if not is_started:
            if run.give_back(token):
                brought.given_back.add(run.id)
        elif run.is_on_its_last_attempt:
            if run.finish(token, "crash", owed=OwedCall(None, 0), is_lost=True):
                brought.crashed.add(run.id)
        elif run.finish(token, "retry", owed=None, is_lost=True):
            brought.retried.add(run.id)
