"""Sixteen claimers do whatever may be done; Postgres itself watches the limits.

Every admission is held to the limits of its moment by a trigger on the slots, and an observer looks
for slots that are held by nobody or missing, each time in one snapshot.
"""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from django.db import connection

from jobs_platform.domain.errors import RunNotFoundError
from jobs_platform.domain.lifecycle import LIVE, Status
from jobs_platform.engine.cancel import cancel
from jobs_platform.engine.claim import Want, finish_and_claim
from jobs_platform.engine.handoff import ClaimedRun, Outcome
from jobs_platform.engine.line import Line
from jobs_platform.engine.queue_due import queue_due
from jobs_platform.engine.recover import recover_worker
from jobs_platform.engine.slots import admit, admit_freed, admit_waiting
from jobs_platform.engine.stop import stop_attempts
from jobs_platform.engine.trigger import trigger_batch
from jobs_platform.engine.worker import give_back
from jobs_platform.models import Run, Slot
from tests.limited import a_queue, guarded, misheld_slots
from tests.world import World, completed, ended, request, retried

CLAIMERS = 16
QUEUES = {
    "narrow": {"concurrency_limit": 1},
    "wide": {"concurrency_limit": 9},
    "keyed": {},
    "both": {"concurrency_limit": 5, "key_concurrency_limit": 2},
}
"""`keyed` runs always have a key; the others now and then."""
LOOK_SECONDS = 0.02
REST_SECONDS = 1.0
"""With a sweep nothing that may start waits for longer."""
MOST_WAITING = 300
_WAITING = f"SELECT FROM jobs_run WHERE is_waiting LIMIT {MOST_WAITING}"
_MOVES = "SELECT count(*) FROM jobs_event"


class _Claimer:
    """A slot of a worker, without the worker: does at random what one may do."""

    def __init__(self, world: World, number: int, seed: int) -> None:
        self._world = world
        self._random = random.Random(f"{seed}.{number}")
        self._line = Line(world.conninfo, application_name=f"claimer {number}")
        self._holder = world.new_worker()
        self._number = 0
        self._held: list[ClaimedRun] = []
        self._actions: list[tuple[Callable[[], None], int]] = [
            (self._trigger, 6),
            (self._exchange, 16),
            (self._give_back, 2),
            (self._cancel, 2),
            (self._vanish, 1),
            (self._change_limits, 1),
            (self._pause, 1),
            (self._admit_and_roll_back, 1),
        ]

    def work_until(self, is_over: Callable[[], bool]) -> None:
        actions, weights = zip(*self._actions, strict=True)
        try:
            while not is_over():
                self._random.choices(actions, weights)[0]()
        finally:
            self._vanish()
            self._line.close()
            connection.close()

    def _trigger(self) -> None:
        rows = self._line.connection.execute(_WAITING).fetchall()
        if len(rows) == MOST_WAITING:
            return
        requests = []
        for _ in range(self._random.randint(1, 6)):
            queue = self._random.choice(list(QUEUES))
            keys: tuple[str, ...] = ()
            if queue == "keyed" or self._random.random() < 0.3:
                keys = tuple(self._random.sample("abcdef", self._random.choice([1, 1, 1, 2])))
            requests.append(request(queue=queue, concurrency_keys=keys, max_attempts=3))
        trigger_batch(requests)

    def _exchange(self) -> None:
        """Finish some of what is held, claim more, give away what was freed, or forget to."""
        over = [run for run in self._held if self._random.random() < 0.7]
        outcomes = [self._outcome(run) for run in over]
        self._number += 1
        want = Want("default", self._random.randint(0, 4), self._number, 0)
        taken = finish_and_claim(
            self._line, self._holder, outcomes, want, with_slots=[run.id for run in over]
        )
        if refused := [outcome for outcome in outcomes if outcome.run_id not in taken.finished]:
            stop_attempts(self._line, refused)
        self._held = [*(run for run in self._held if run not in over), *taken.runs]
        if self._random.random() < 0.9:
            admit_freed(self._line, taken.freed)

    def _outcome(self, run: ClaimedRun) -> Outcome:
        chance = self._random.random()
        if chance < 0.2 and run.attempt_number < run.max_attempts:
            return retried(run)
        return ended(run) if chance < 0.3 else completed(run)

    def _give_back(self) -> None:
        for run in self._held[:1]:
            give_back(self._line, [(run.id, run.fencing_token)])
        del self._held[:1]

    def _cancel(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT id FROM jobs_run WHERE status = ANY(%s)"
                " OFFSET floor(random() * 30) LIMIT 1",
                [sorted(LIVE)],
            )
            found = cursor.fetchone()
        with suppress(RunNotFoundError):
            if found:
                cancel(found[0])

    def _vanish(self) -> None:
        """The worker is lost with all that it held; another one takes its place."""
        self._held.clear()
        recover_worker(self._line, self._holder.worker_id)
        self._holder = self._world.new_worker()

    def _change_limits(self) -> None:
        queue = self._random.choice(["narrow", "wide", "both"])
        limits = [self._random.choice([None, 1, 2, 12]), self._random.choice([None, 1, 3]), queue]
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE jobs_queue SET override_limit = %s, key_concurrency_limit = %s"
                " WHERE name = %s",
                limits,
            )

    def _pause(self) -> None:
        queue = self._random.choice(["narrow", "wide", "both"])
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE jobs_queue SET paused_at = CASE WHEN paused_at IS NULL AND random() < 0.5"
                " THEN now() END WHERE name = %s",
                [queue],
            )

    def _admit_and_roll_back(self) -> None:
        self._line.connection.execute("BEGIN")
        admit(self._line, self._world.environment_id, self._random.choice(list(QUEUES)))
        self._line.connection.execute("ROLLBACK")


class _Clock:
    """The sweeps of a beat, ten times a second."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._line = Line(world.conninfo, application_name="sweep")
        self._is_over = threading.Event()

    def run(self) -> None:
        after = ("", "")
        while not self._is_over.wait(0.1):
            environment_id = self._world.environment_id
            for queue, keys in queue_due(self._line, environment_id=environment_id).waiting.items():
                admit(self._line, environment_id, queue, freed=keys)
            after = admit_waiting(self._line, environment_id, after=after).goes_on_after
        self._line.close()

    def stop(self) -> None:
        self._is_over.set()


@pytest.fixture
def sweeping(world: World) -> Iterator[None]:
    clock = _Clock(world)
    thread = threading.Thread(target=clock.run)
    thread.start()
    yield
    clock.stop()
    thread.join()


@pytest.mark.parametrize(
    ("moves", "seed"),
    [
        pytest.param(5_000, 1, id="5,000"),
        pytest.param(200_000, 2, id="200,000", marks=[pytest.mark.soak, pytest.mark.timeout(0)]),
    ],
)
def test_limits_hold_whatever_happens_at_once(
    world: World, sweeping: None, moves: int, seed: int
) -> None:
    for name, facts in QUEUES.items():
        a_queue(world, name, **facts)
    claimers = [_Claimer(world, number, seed) for number in range(CLAIMERS)]
    observer = world.new_line()
    looks = 0
    with guarded(world), ThreadPoolExecutor(CLAIMERS) as executor:
        done = threading.Event()
        working = [executor.submit(claimer.work_until, done.is_set) for claimer in claimers]
        try:
            while _moves(observer) < moves and not any(future.done() for future in working):
                assert misheld_slots(observer) == []
                looks += 1
                done.wait(LOOK_SECONDS)
        finally:
            done.set()
        for future in working:
            future.result()
        assert looks > 10
        _come_to_rest(world)
    assert misheld_slots(world.line) == []
    assert not Slot.objects.exists()
    world.check()


def _moves(line: Line) -> int:
    row = line.connection.execute(_MOVES).fetchone()
    return int(row[0]) if row else 0


def _come_to_rest(world: World) -> None:
    """All that is left is worked off; nothing that may start waits for longer than a second."""
    world.sql("UPDATE jobs_queue SET paused_at = NULL")
    last_found_at = time.monotonic()
    looks = itertools.count()
    while Run.objects.filter(status__in=sorted(LIVE)).exists():
        world.sql("UPDATE jobs_run SET run_at = now() WHERE is_timed AND run_at > now()")
        runs = world.claim(limit=100)
        if runs:
            last_found_at = time.monotonic()
        taken = world.exchange(
            [completed(run) for run in runs], with_slots=[run.id for run in runs]
        )
        if next(looks) % 10:
            admit_freed(world.line, taken.freed)  # else the sweep has to find it
        assert time.monotonic() - last_found_at < REST_SECONDS
    assert Run.objects.filter(status=Status.COMPLETED).exists()
