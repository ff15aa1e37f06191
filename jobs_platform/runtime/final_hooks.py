"""The hook calls that a slot owes: recorded for it in the database, made here, deleted there.

A call that was made is not made again while the database is away; one that was not is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol
from uuid import UUID

from jobs_platform.engine.handoff import ClaimedRun, Holder, Outcome
from jobs_platform.engine.hook_call import claim_hook_calls, finish_hook_calls
from jobs_platform.engine.line import Line
from jobs_platform.runtime.interrupt import Interrupt


class CallsHooks(Protocol):
    """What this asks of the executor."""

    def call_final_hooks(self, run: ClaimedRun, outcome: Outcome) -> None: ...
    def call_stored_final_hooks(self, run_id: UUID, *, interrupt: Interrupt) -> None: ...


class FinalHooks:
    """The owed calls of one slot; its thread alone uses it."""

    def __init__(self, holder: Holder, executor: CallsHooks, interrupt: Interrupt) -> None:
        self._holder = holder
        self._interrupt = interrupt
        self._executor = executor
        self._owed: list[UUID] = []
        self._made: list[UUID] = []

    @property
    def known_ids(self) -> Sequence[UUID]:
        """Runs whose calls this slot knows to be its own."""
        return [*self._made, *self._owed]

    def call(self, run: ClaimedRun, outcome: Outcome) -> None:
        """Make the call of an attempt that was executed here and whose end is stored."""
        self._executor.call_final_hooks(run, outcome)
        self._made.append(outcome.run_id)

    def owe(self, run_ids: Iterable[UUID]) -> None:
        """These are to be made from what is stored of the runs."""
        self._owed += run_ids

    def claim(self, line: Line, *, worker_queue: str) -> None:
        """Take calls that moves without a worker, or lost workers, have left."""
        self.owe(claim_hook_calls(line, self._holder, worker_queue=worker_queue))

    def settle(self, line: Line) -> None:
        """Make what is owed and delete what was made."""
        while self._owed:
            self._executor.call_stored_final_hooks(self._owed[0], interrupt=self._interrupt)
            self._made.append(self._owed.pop(0))
        if self._made:
            finish_hook_calls(line, self._made)
            self._made = []
