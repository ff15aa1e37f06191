"""Legal and illegal calls of the engine, in any order, beside the model that says what they do.

Three slots are live at every moment, on two workers; who dies is replaced. Everything that a slot
was ever told (a run and a token) stays in `papers`, so that any of it can be used too late.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from functools import wraps
from itertools import count
from typing import Any
from uuid import UUID

import pytest
from django.db import transaction
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from jobs_platform.domain.errors import RunNotFoundError
from jobs_platform.domain.lifecycle import Status
from jobs_platform.engine import replay as replaying
from jobs_platform.engine.cancel import cancel
from jobs_platform.engine.claim import Want, finish_and_claim
from jobs_platform.engine.environments import environment_id
from jobs_platform.engine.handoff import Holder, Outcome
from jobs_platform.engine.hook_call import (
    MAX_TRIES,
    claim_hook_calls,
    finish_hook_calls,
    release_hook_calls,
)
from jobs_platform.engine.prune import prune
from jobs_platform.engine.recover import (
    Progress,
    Recovered,
    recover_lost_workers,
    recover_slot,
    recover_worker,
)
from jobs_platform.engine.stop import stop_attempts
from jobs_platform.engine.trigger import trigger, trigger_batch
from jobs_platform.engine.worker import give_back, give_back_unknown, stop_worker
from tests.invariants.looking import assert_agree
from tests.invariants.model import MOVES, Brought, Model, OwedCall, Paper
from tests.world import ERROR, World, request, rolled_back

UNSTORABLE = "unstorable"
"""An outcome that the database refuses: the run ends as a system failure."""
ENDS = (*(move for move in MOVES if move != "crash"), UNSTORABLE)
_EXAMPLES = count(1)

INDEX = st.integers(0, 30)
PRIORITY = st.sampled_from([0.0, 0.0, 0.5, 3600.0])
MAX_ATTEMPTS = st.integers(1, 3)
SLOT = st.integers(0, 2)
LIMIT = st.integers(0, 4)
END = st.tuples(st.sampled_from(("complete", "retry", *ENDS)), st.booleans())
FATE = st.sampled_from(["commit", "commit", "commit", "roll back", "savepoint"])


@dataclass(slots=True)
class Slot:
    """What a slot knows of itself."""

    holder: Holder
    number: int = 0
    held: list[Paper] = field(default_factory=list)

    @property
    def key(self) -> tuple[int, int]:
        return (self.holder.worker_id, self.holder.slot)


def step(**given: Any) -> Callable[[Callable[..., None]], Any]:
    """A rule; after one that failed, the machine does not go on to its end."""

    def decorate(function: Callable[..., None]) -> Any:
        @wraps(function)
        def guarded(self: EngineMachine, **values: Any) -> None:
            self.is_sound = False
            function(self, **values)

        return rule(**given)(guarded)

    return decorate


class EngineMachine(RuleBasedStateMachine):
    """Each example in an environment of its own, which is cheaper than empty tables."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.line = world.line
        self.slug = f"machine-{next(_EXAMPLES)}"
        self.environment_id = environment_id(self.slug)
        self.model = Model()
        self.known_ids: list[UUID] = []
        self.papers: list[Paper] = []
        self.slot_names = count(1)
        self.is_sound = True
        first, second = self._new_worker(), self._new_worker()
        self.slots = [self._new_slot(worker) for worker in (first, first, second)]
        self.ghosts: list[Slot] = []

    # What comes in

    @step(priority=PRIORITY, max_attempts=MAX_ATTEMPTS, fate=FATE, parent=st.none() | INDEX)
    def trigger_one(
        self, priority: float, max_attempts: int, fate: str, parent: int | None
    ) -> None:
        parent_id = self._pick(self.known_ids, parent) if parent is not None else None

        def act() -> None:
            asked = request(
                max_attempts=max_attempts, priority_seconds=priority, parent_id=parent_id
            )
            made = trigger(asked, environment=self.slug)
            self._accepted([(made.id, max_attempts)], parent_id, fate)

        self._in_transaction(act, fate)

    @step(items=st.lists(st.tuples(PRIORITY, MAX_ATTEMPTS), min_size=0, max_size=5), fate=FATE)
    def trigger_batch(self, items: list[tuple[float, int]], fate: str) -> None:
        def act() -> None:
            asked = [
                request(max_attempts=maximum, priority_seconds=priority)
                for priority, maximum in items
            ]
            _, made = trigger_batch(asked, environment=self.slug)
            kept = [(one.id, item[1]) for one, item in zip(made, items, strict=True)]
            self._accepted(kept, None, fate)
            if fate == "commit":
                self.model.batches.append({one.id for one in made})

        self._in_transaction(act, fate)

    @step(index=INDEX)
    def replay(self, index: int) -> None:
        if not (run_id := self._pick(self.known_ids, index)):
            return
        old = self.model.runs.get(run_id)
        if old is None:
            with pytest.raises(RunNotFoundError):
                replaying.replay(run_id)
            return
        made = replaying.replay(run_id)
        self._accepted([(made.id, old.max_attempts)], None, "commit")

    # What slots do

    @step(index=SLOT, limit=LIMIT, ends=st.lists(END, min_size=4, max_size=4), late=INDEX)
    def exchange(self, index: int, limit: int, ends: list[tuple[str, bool]], late: int) -> None:
        """A slot writes how all that it holds has ended, and something stale, and claims."""
        slot = self.slots[index]
        written = [(paper, *end) for paper, end in zip(slot.held, ends, strict=False)]
        stale = self._pick(self.papers, late)
        if stale and not self._is_current(stale) and stale not in slot.held:
            written.append((stale, "complete", True))
        self._exchange(slot, written, limit)

    @step(index=SLOT, limit=LIMIT, ends=st.lists(END, min_size=4, max_size=4))
    def lose_a_reply(self, index: int, limit: int, ends: list[tuple[str, bool]]) -> None:
        """A slot whose exchange was committed does not know, asks, and says it all again."""
        slot = self.slots[index]
        written = [(paper, *end) for paper, end in zip(slot.held, ends, strict=False)]
        held, number = slot.held, slot.number
        self._exchange(slot, written, limit, is_heard=False)
        slot.held, slot.number = held, number
        known = set(held)
        given_back = give_back_unknown(self.line, *slot.key, known=held)
        self.model.release_slot(*slot.key)
        expected = 0
        for key, papers in self.model.claims_of(*slot.key).items():
            expected += len(self.model.give_back([p for p in papers if p not in known]))
            if not known & set(papers):
                del self.model.claims[key]
        assert given_back == expected
        self._exchange(slot, written, 0)

    @step(index=SLOT, chosen=st.lists(st.tuples(INDEX, END), min_size=1, max_size=4))
    def write_by_paper(self, index: int, chosen: list[tuple[int, tuple[str, bool]]]) -> None:
        """Outcomes of anything that was ever claimed: live attempts and long lost ones."""
        written = {
            paper: (paper, *end)
            for at, end in chosen
            if (paper := self._pick(self.papers, at)) is not None
        }
        self._write(self.slots[index].holder, list(written.values()))

    @step(index=SLOT, at=INDEX, forged=st.sampled_from([-1, 1, 2]), end=END)
    def write_with_a_forged_token(
        self, index: int, at: int, forged: int, end: tuple[str, bool]
    ) -> None:
        if (run_id := self._pick(self.known_ids, at)) and run_id in self.model.runs:
            token = self.model.runs[run_id].token + forged
            assert not self._write(self.slots[index].holder, [((run_id, token), *end)])

    @step(at=INDEX, end=END)
    def write_by_a_ghost(self, at: int, end: tuple[str, bool]) -> None:
        """A dead slot, or a lost worker, claims nothing and writes only what nobody has ended."""
        if not (ghost := self._pick(self.ghosts, at)):
            return
        self._write(ghost.holder, [(paper, *end) for paper in ghost.held])
        if ghost.holder.worker_id in self.model.lost_workers:
            taken = finish_and_claim(self.line, ghost.holder, [], Want("default", 4, 10_000))
            assert taken.runs == ()

    @step(chosen=st.lists(INDEX, min_size=1, max_size=4))
    def give_back(self, chosen: list[int]) -> None:
        papers = sorted({paper for at in chosen if (paper := self._pick(self.papers, at))})
        given_back = {run_id for run_id, _ in give_back(self.line, papers)}
        assert given_back == self.model.give_back(papers)

    # What others do

    @step(at=INDEX, fate=FATE)
    def cancel(self, at: int, fate: str) -> None:
        if not (run_id := self._pick(self.known_ids, at)):
            return

        def act() -> None:
            run = self.model.runs.get(run_id)
            if run is None:
                with pytest.raises(RunNotFoundError):
                    cancel(run_id)
                return
            assert cancel(run_id) is not run.is_final
            if fate == "commit":
                self.model.cancel(run_id)

        self._in_transaction(act, fate)

    @step(index=SLOT, progress=st.none() | st.tuples(st.integers(-1, 1), LIMIT), rude=st.booleans())
    def kill_a_slot(self, index: int, progress: tuple[int, int] | None, rude: bool) -> None:
        """A pool child dies, and the board shows how far it had come."""
        slot = self.slots[index]
        shown = Progress(slot.number + progress[0], progress[1]) if progress else None
        keys = self.model.claims_of(*slot.key)
        unstarted = frozenset(
            paper
            for key, papers in keys.items()
            for position, paper in enumerate(papers)
            if rude or not _is_started(shown, key[2], position)
        )
        recovered = recover_slot(self.line, *slot.key, progress=shown, is_interrupted=rude)
        _assert_brought(recovered, self.model.recover(keys, unstarted))
        self.model.release_slot(*slot.key)
        self._retire(slot)
        self._make_due()

    @step(index=SLOT, stops=st.booleans())
    def lose_a_worker(self, index: int, stops: bool) -> None:
        """Its lease lapses, or it ends it itself; nobody has recovered anything yet."""
        worker_id = self.slots[index].holder.worker_id
        if stops:
            stop_worker(self.line, worker_id)
        else:
            self.world.end_lease(worker_id)
        self._lost(worker_id)

    @step()
    def recover_the_lost(self) -> None:
        keys = [key for key in self.model.claims if key[0] in self.model.lost_workers]
        _assert_brought(recover_lost_workers(self.line), self.model.recover(keys))
        self._make_due()

    @step(index=SLOT)
    def recover_a_worker(self, index: int) -> None:
        """A keeper ends its own worker, live as it is."""
        worker_id = self.slots[index].holder.worker_id
        keys = [key for key in self.model.claims if key[0] == worker_id]
        _assert_brought(recover_worker(self.line, worker_id), self.model.recover(keys))
        self._lost(worker_id)
        self._make_due()

    @step(index=SLOT, limit=st.integers(1, 4), finishes=st.booleans())
    def call_hooks(self, index: int, limit: int, finishes: bool) -> None:
        """Somebody takes calls that nobody is about to make, and makes them or dies."""
        claimed = self._claim_hook_calls(self.slots[index].holder, limit)
        if finishes:
            self._finish_hook_calls(claimed)

    @step(limit=st.integers(1, 8))
    def prune(self, limit: int) -> None:
        self._prune(limit)

    @invariant()
    def database_and_model_agree(self) -> None:
        self.is_sound = False
        assert_agree(self.world, self.environment_id, self.model)
        self.is_sound = True

    def teardown(self) -> None:
        """P1: whatever has happened, live workers bring every run to its end."""
        try:
            if self.is_sound:
                self._drive()
        finally:
            self.world.sql("DELETE FROM jobs_claim")
            self.world.sql(
                "DELETE FROM jobs_worker WHERE environment_id = %s", [self.environment_id]
            )

    def _drive(self) -> None:
        self.recover_the_lost()
        for _ in range(len(self.model.runs) + 2):
            for slot in self.slots:
                self._exchange(slot, [(paper, "complete", True) for paper in slot.held], 4)
        assert self.model.live() == []
        self.database_and_model_agree()
        for index in (0, 2):
            self.lose_a_worker(index=index, stops=False)
        self._finish_hook_calls(self._claim_hook_calls(self.slots[0].holder, 1_000))
        self.database_and_model_agree()
        self.recover_the_lost()
        self._prune(1_000)
        assert not self.model.runs
        assert not self.model.batches
        self.database_and_model_agree()

    def _in_transaction(self, act: Callable[[], None], fate: str) -> None:
        """Commit what `act` does, or roll it back, or a savepoint of it; only a commit rings."""
        rings = len(self.world.bell.rings)
        with transaction.atomic() if fate == "savepoint" else nullcontext():
            if fate == "commit":
                act()
            else:
                with rolled_back():
                    act()
        if fate != "commit":
            assert len(self.world.bell.rings) == rings

    def _accepted(
        self, made: Sequence[tuple[UUID, int]], parent_id: UUID | None, fate: str
    ) -> None:
        if fate == "commit":
            for run_id, max_attempts in made:
                self.model.add(run_id, max_attempts, parent_id)
                self.known_ids.append(run_id)

    def _exchange(
        self,
        slot: Slot,
        written: Sequence[tuple[Paper, str, bool]],
        limit: int,
        *,
        is_heard: bool = True,
    ) -> None:
        """Finish and claim as `runtime.slot` does: the new claim replaces the one before."""
        run_at = dict(
            self.world.sql(
                "SELECT id, run_at FROM jobs_run WHERE environment_id = %s AND is_claimable",
                [self.environment_id],
            )
        )
        want = Want("default", limit, slot.number + 1, slot.number)
        outcomes = [self._outcome(*one) for one in written]
        taken = finish_and_claim(self.line, slot.holder, outcomes, want)
        finished = self._finished(slot.holder, outcomes, written)
        assert taken.finished == finished
        self.model.claims.pop((*slot.key, slot.number), None)
        claimable = self.model.queued()
        if not any(move == UNSTORABLE for _, move, _ in written):
            claimable -= finished  # the claim does not see what the same statement has finished
            # Runs that were due at the same microsecond may go in any order.
            assert [run_at[run.id] for run in taken.runs] == sorted(run_at.values())[:limit]
        assert len(taken.runs) == min(limit, len(claimable))
        for run in taken.runs:
            assert run.id in claimable
            self.model.runs[run.id].claim(slot.holder.worker_id)
            assert run.fencing_token == self.model.runs[run.id].token
        slot.number += 1
        slot.held = [(run.id, run.fencing_token) for run in taken.runs]
        self.papers += slot.held
        if slot.held:
            self.model.claims[*slot.key, slot.number] = list(slot.held)
        if is_heard:
            self._stop_refused(outcomes, finished, releases=False)

    def _write(self, holder: Holder, written: Sequence[tuple[Paper, str, bool]]) -> set[UUID]:
        """Outcomes without a claim, as a watch writes them beside its slot."""
        outcomes = [self._outcome(*one) for one in written]
        taken = finish_and_claim(self.line, holder, outcomes, Want())
        finished = self._finished(holder, outcomes, written)
        assert taken.finished == finished
        self._stop_refused(outcomes, finished, releases=True)
        return finished

    def _outcome(self, paper: Paper, move: str, is_hooked: bool) -> Outcome:
        if move == UNSTORABLE:
            return Outcome(*paper, Status.COMPLETED, output="{", has_final_hooks=is_hooked)
        run = self.model.runs.get(paper[0])
        if move == "retry" and (run is None or run.is_on_its_last_attempt):
            move = "fail"  # an executor does not try again what has no attempt left
        return Outcome(
            *paper,
            MOVES[move],
            output=str(paper[1]) if move == "complete" else None,
            error=None if move == "complete" else ERROR,
            retry_after_seconds=0.0 if move == "retry" else None,
            has_final_hooks=is_hooked,
        )

    def _finished(
        self,
        holder: Holder,
        outcomes: Sequence[Outcome],
        written: Sequence[tuple[Paper, str, bool]],
    ) -> set[UUID]:
        finished = set()
        for outcome, (paper, end, is_hooked) in zip(outcomes, written, strict=True):
            is_unstorable = end == UNSTORABLE
            move = next(move for move, status in MOVES.items() if status is outcome.status)
            owed = OwedCall(holder.worker_id, holder.slot) if is_hooked or is_unstorable else None
            if self.model.finish(paper, "break_down" if is_unstorable else move, owed=owed):
                finished.add(paper[0])
        return finished

    def _stop_refused(
        self, outcomes: Sequence[Outcome], finished: set[UUID], *, releases: bool
    ) -> None:
        refused = [outcome for outcome in outcomes if outcome.run_id not in finished]
        papers = [(outcome.run_id, outcome.fencing_token) for outcome in refused]
        stopped = stop_attempts(self.line, refused)
        assert stopped == self.model.stop(papers, releases=releases)
        if releases:
            release_hook_calls(self.line, stopped)

    def _claim_hook_calls(self, holder: Holder, limit: int) -> set[UUID]:
        owed = {
            run.id
            for run in self.model.runs.values()
            if run.owed
            and run.owed.tries < MAX_TRIES
            and run.owed.worker_id not in self.model.live_workers
        }
        claimed = claim_hook_calls(self.line, holder, worker_queue="default", limit=limit)
        assert len(claimed) == min(limit, len(owed))
        assert owed.issuperset(claimed)
        for run_id in claimed:
            before = self.model.runs[run_id].owed
            assert before
            call = OwedCall(holder.worker_id, holder.slot, before.tries + 1)
            self.model.runs[run_id].owed = call
        return set(claimed)

    def _finish_hook_calls(self, run_ids: set[UUID]) -> None:
        finish_hook_calls(self.line, sorted(run_ids))
        for run_id in run_ids:
            self.model.runs[run_id].owed = None

    def _prune(self, limit: int) -> None:
        """Everything that is over is old enough, oldest first."""
        old = sorted(run.id for run in self.model.runs.values() if run.is_final)[:limit]
        for run_id in old:
            del self.model.runs[run_id]
        empty = [batch for batch in self.model.batches if not batch & self.model.runs.keys()]
        pruned = prune(
            self.line,
            environment_id=self.environment_id,
            older_than=timedelta(seconds=-60),
            limit=limit,
        )
        assert (pruned.runs, pruned.batches) == (len(old), min(limit, len(empty)))
        for batch in empty[:limit]:
            self.model.batches.remove(batch)

    def _lost(self, worker_id: int) -> None:
        self.model.live_workers.remove(worker_id)
        self.model.lost_workers.add(worker_id)
        heir = self._new_worker()
        for slot in [slot for slot in self.slots if slot.holder.worker_id == worker_id]:
            self._retire(slot, heir)

    def _retire(self, slot: Slot, heir: int | None = None) -> None:
        self.ghosts.append(slot)
        new = self._new_slot(heir or slot.holder.worker_id)
        self.slots[self.slots.index(slot)] = new

    def _new_worker(self) -> int:
        worker_id = self.world.new_worker(environment=self.slug).worker_id
        self.model.live_workers.add(worker_id)
        return worker_id

    def _new_slot(self, worker_id: int) -> Slot:
        return Slot(Holder(worker_id, next(self.slot_names), self.environment_id, self.slug))

    def _make_due(self) -> None:
        """Lost attempts are tried again after a while; here nobody waits."""
        self.world.make_due()

    def _is_current(self, paper: Paper) -> bool:
        run = self.model.runs.get(paper[0])
        return run is not None and run.status is Status.EXECUTING and run.token == paper[1]

    @staticmethod
    def _pick(choices: Sequence[Any], at: int) -> Any:
        """One of the newest first, so that a small index means something recent."""
        return choices[-1 - at % len(choices)] if choices else None


def _is_started(shown: Progress | None, number: int, position: int) -> bool:
    if shown is None or number < shown.number:
        return True
    return number == shown.number and position < shown.started


def _assert_brought(recovered: Recovered, expected: Brought) -> None:
    assert set(recovered.retried) == expected.retried
    assert set(recovered.crashed) == expected.crashed
    assert set(recovered.given_back) == expected.given_back
