"""The runs that a slot has claimed, and how far it has come; shared by executor and watch."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from uuid import UUID

from jobs_platform.domain.lifecycle import Status
from jobs_platform.engine.handoff import ClaimedRun, Outcome


class Hand:
    """Claimed runs in their order. Every method may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs: list[ClaimedRun] = []
        self._position = 0
        self._outcomes: list[Outcome] = []
        self._current: ClaimedRun | None = None
        self._since = 0.0
        self._hooks_since: float | None = None
        self._dropped: list[ClaimedRun] = []
        self._cancelled: set[UUID] = set()

    def take(self, runs: Sequence[ClaimedRun]) -> None:
        """Begin with newly claimed runs; outcomes that are not written yet stay."""
        with self._lock:
            self._runs = list(runs)
            self._position = 0
            # A notice may come before the reply that brought its run.
            self._cancelled.intersection_update(run.id for run in runs)

    def next(self) -> ClaimedRun | None:
        """Start the next run that is not cancelled yet; None when there is none left."""
        with self._lock:
            self._current = None
            while self._position < len(self._runs):
                run = self._runs[self._position]
                self._position += 1
                if run.id in self._cancelled:
                    self._outcomes.append(Outcome(run.id, run.fencing_token, Status.CANCELED))
                    continue
                self._current, self._since = run, time.monotonic()
                return run
            return None

    def cancel(self, run_id: UUID) -> None:
        """Do not start this run if it is in the hand and has not been started."""
        with self._lock:
            self._cancelled.add(run_id)

    def begin_hooks(self) -> float:
        """The slot calls final hooks of what is finished, before it starts what it has claimed."""
        with self._lock:
            self._hooks_since = time.monotonic()
            return self._hooks_since

    def end_hooks(self) -> None:
        with self._lock:
            self._hooks_since = None

    def record(self, outcome: Outcome | None) -> None:
        """The current run is over; None when there is nothing to write for it."""
        with self._lock:
            self._current = None
            if outcome is not None:
                self._outcomes.append(outcome)

    def take_outcomes(self) -> list[Outcome]:
        """What is to be written; the taker answers for it."""
        with self._lock:
            taken, self._outcomes = self._outcomes, []
            return taken

    def put_back(self, outcomes: Sequence[Outcome]) -> None:
        """Outcomes that could not be written."""
        with self._lock:
            self._outcomes[:0] = outcomes

    def drop_unstarted(self) -> list[ClaimedRun]:
        """Let go of the runs that have not been started; the taker gives them back and says so."""
        with self._lock:
            self._dropped += self._runs[self._position :]
            del self._runs[self._position :]
            return list(self._dropped)

    def forget_dropped(self, given_back: Sequence[ClaimedRun]) -> None:
        """These were given back; others were not, because the database is away."""
        gone = {(run.id, run.fencing_token) for run in given_back}
        with self._lock:
            self._dropped = [
                run for run in self._dropped if (run.id, run.fencing_token) not in gone
            ]

    @property
    def current(self) -> tuple[ClaimedRun, float] | None:
        """The run that is being executed, and since when."""
        with self._lock:
            return (self._current, self._since) if self._current else None

    @property
    def busy_since(self) -> float | None:
        """Since when user code is at work: a function, or final hooks."""
        with self._lock:
            return self._since if self._current else self._hooks_since

    @property
    def started(self) -> int:
        return self._position

    @property
    def claimed(self) -> int:
        return len(self._runs)

    @property
    def unwritten_ids(self) -> list[UUID]:
        """Runs of which something is still to be written or executed here."""
        with self._lock:
            pending = [outcome.run_id for outcome in self._outcomes]
            return pending + [run.id for run in self._runs[max(0, self._position - 1) :]]
