"""Write runs that ask for more than to be queued: with delays, keys, limits, or many at once.

Owns what happens when somebody else holds a key: insert, look who was quicker, and begin again
where nobody is there any more.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from json import dumps
from types import MappingProxyType
from typing import Any
from uuid import UUID

from jobs_platform.domain.errors import UnsettledKeyError
from jobs_platform.engine import caller, ledger
from jobs_platform.engine.admit import admit_after_commit
from jobs_platform.engine.debounce import join_debounced
from jobs_platform.engine.item import Item, documents
from jobs_platform.engine.key import runs_that_hold
from jobs_platform.engine.queue_limits import Said, change_after_commit, make_queues, queues_said
from jobs_platform.engine.strict_queue import refuse_what_queues_do_not_take
from jobs_platform.sdk.ports import Triggered

_NONE: Mapping[str, Any] = MappingProxyType({})
MAX_TRIES = 20
"""Each begins because somebody else has just taken or freed the key."""


def accept(
    items: Sequence[Item], *, environment_id: int, batch_id: UUID | None = None
) -> list[Triggered]:
    """Nothing → QUEUED or DELAYED; the answers in the order of the items.

    All or none, but those whose key another run holds: these are answered with that run.
    """
    accepting = _Accepting(items, environment_id, batch_id)
    accepting.work()
    return [accepting.answers[item.run_id] for item in items]


def wake_after_commit(
    environment_id: int,
    *,
    waiting: Mapping[str, Collection[str]] = _NONE,
    claimable: Mapping[str, int] = _NONE,
) -> None:
    """Wake workers for claimable runs, and admit those that wait for slots, by queue and key."""
    if claimable:
        caller.ring_after_commit(claimable)
    if waiting:
        admit_after_commit(environment_id, waiting)


class _Accepting:
    """Items on their way; those that have an answer are left out of what is still to be done."""

    def __init__(self, items: Sequence[Item], environment_id: int, batch_id: UUID | None) -> None:
        self.answers: dict[UUID, Triggered] = {}
        self._left = list(items)
        self._environment_id = environment_id
        self._batch_id = batch_id
        self._said: dict[str, Said] = queues_said([item.request for item in items])

    def work(self) -> None:
        """Until every item has its answer."""
        self._join_debounced()
        for _ in range(MAX_TRIES):
            if not self._left:
                return
            strict = self._write(is_allowed=False)
            if strict:
                # What the queue has taken already is not refused; and the look needs a transaction,
                # whose locks keep what it has seen until the rows are written.
                self._answer_by_keys()
                with caller.own_transaction():
                    requests = [item.request for item in self._left]
                    refuse_what_queues_do_not_take(
                        strict, requests, environment_id=self._environment_id
                    )
                    self._write(is_allowed=True)
        if self._left:
            raise self._unsettled()

    def _write(self, *, is_allowed: bool) -> Sequence[Mapping[str, object]]:
        """Write what is left; returns the queues that may refuse it, and has written nothing."""
        if not self._left:
            return ()
        params = {
            "environment_id": self._environment_id,
            "batch_id": self._batch_id,
            "is_allowed": is_allowed,
            "queues": dumps(list(self._said.values())),
            "items": documents(self._left),
        }
        row = ledger.accept_batch(caller.execute, params)
        missing, strict, made, waiting, claimable, changed, _ = row
        if is_allowed or not (missing or strict):
            self._after_writing(made, waiting or (), claimable or {}, changed or ())
            return ()
        if missing:
            made_now = [self._said[name] for name in missing]
            make_queues(made_now, environment_id=self._environment_id)
            return ()
        return strict or ()

    def _after_writing(
        self,
        made: int,
        waiting: Sequence[str],
        claimable: Mapping[str, int],
        changed: Sequence[str],
    ) -> None:
        if changed:
            said = [self._said[name] for name in changed]
            change_after_commit(said, environment_id=self._environment_id)
        keys = {name: self._keys_of(name) for name in waiting}
        wake_after_commit(self._environment_id, waiting=keys, claimable=claimable)
        if made != len(self._left):
            self._answer_by_keys()
            self._join_debounced()
        for item in list(self._left):
            if made == len(self._left) or not item.has_key:
                self.answers[item.run_id] = Triggered(item.run_id, item.request.task_id)
        self._leave_out_answered()

    def _keys_of(self, queue: str) -> set[str]:
        requests = [item.request for item in self._left if item.request.queue == queue]
        return {next(iter(request.concurrency_keys), "") for request in requests}

    def _answer_by_keys(self) -> None:
        """Items whose key is held, by the run that was made for them or by another."""
        holders = runs_that_hold(
            [item.request for item in self._left], environment_id=self._environment_id
        )
        for item in self._left:
            holder = holders.get(item.held_key)
            if holder is not None:
                is_cached = holder != item.run_id
                self.answers[item.run_id] = Triggered(holder, item.request.task_id, is_cached)
        self._leave_out_answered()

    def _join_debounced(self) -> None:
        """Items that push a DELAYED run back."""
        for item in self._left:
            if item.request.debounce is not None:
                joined = join_debounced(item.request, environment_id=self._environment_id)
                if joined is not None:
                    is_cached = joined != item.run_id
                    self.answers[item.run_id] = Triggered(joined, item.request.task_id, is_cached)
        self._leave_out_answered()

    def _leave_out_answered(self) -> None:
        self._left = [item for item in self._left if item.run_id not in self.answers]

    def _unsettled(self) -> UnsettledKeyError:
        request = self._left[0].request
        debounce, key = request.debounce, request.idempotency
        shown = debounce.key if debounce else key.shown if key else ""
        return UnsettledKeyError(key=shown, task_id=request.task_id, tries=MAX_TRIES)
