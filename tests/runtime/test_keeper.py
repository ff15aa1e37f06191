"""A real keeper beside a worker that is a mere process: what it notices and what it brings back."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from jobs_platform.domain.lifecycle import Status
from jobs_platform.engine.cancel import cancel
from jobs_platform.engine.channels import CANCEL_CHANNEL
from jobs_platform.engine.handoff import Holder
from jobs_platform.models import Attempt, Claim, HookCall, Worker
from jobs_platform.runtime.board import Board, SlotState
from jobs_platform.runtime.keeper import Charge
from tests.waiting import wait_until
from tests.world import World

PROJECT = Path(__file__).parents[2]
FAR = 600.0


class Site:
    """A worker, its children and its board; all of them end with the test."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.board = Board.create(capacity=4, lease_until=time.monotonic() + FAR)
        self._processes: list[subprocess.Popen[str]] = []
        self.worker = self.process()
        self.keeper: subprocess.Popen[str] | None = None

    def process(self) -> subprocess.Popen[str]:
        """Something that lives until its input ends or somebody kills it."""
        return self._start(["cat"])

    def start_keeper(self, **changed: object) -> None:
        values = {
            "conninfo": self.world.conninfo,
            "board": str(self.board.path),
            "worker_id": self.world.holder.worker_id,
            "worker_pid": self.worker.pid,
            "has_children": True,
            "lease_seconds": FAR,
            "heartbeat_seconds": 0.1,
            "shutdown_timeout_seconds": FAR,
            "cancel_grace_seconds": FAR,
        }
        charge = Charge(**{**values, **changed})
        self.keeper = self._start([sys.executable, "-m", "jobs_platform.runtime.keeper"])
        self.keeper.stdin.write(charge.to_json() + "\n")
        self.keeper.stdin.flush()
        wait_until(self._is_keeping, 20, "the keeper to begin")

    def _is_keeping(self) -> bool:
        if self.keeper.poll() is not None:
            return True
        query = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'jobs keeper%'"
        return bool(self.world.sql(query, None)[0][0])

    def child(self, count: int, *, started: int, index: int = 0, **changed: object) -> Child:
        """A child that has claimed `count` runs and started some."""
        process = self.process()
        holder = replace(self.world.holder, slot=process.pid)
        self.world.trigger_many(count)
        runs = self.world.claim(limit=count, holder=holder)
        state = SlotState(
            index=index,
            slot=process.pid,
            process_id=process.pid,
            claim_number=1,
            claimed=count,
            started=started,
            since=time.monotonic() if started else 0.0,
            run_id=runs[started - 1].id if started else None,
        )
        self.board.write(replace(state, **changed))
        return Child(process, [run.id for run in runs], holder)

    def wait_for(self, ids: list[UUID], *wanted: Status) -> None:
        statuses = [str(status) for status in wanted]
        wait_until(
            lambda: [self.world.status(run_id) for run_id in ids] == statuses,
            20,
            lambda: str([self.world.status(run_id) for run_id in ids]),
        )

    def close(self) -> None:
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.communicate()
        self.board.remove()

    def _start(self, command: list[str]) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            command, cwd=PROJECT, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self._processes.append(process)
        return process


class Child:
    """A process, what it has claimed, and in whose name."""

    def __init__(self, process: subprocess.Popen[str], ids: list[UUID], holder: Holder) -> None:
        self.process = process
        self.ids = ids
        self.holder = holder


@pytest.fixture
def site(world: World) -> Iterator[Site]:
    made = Site(world)
    yield made
    made.close()


def test_killed_worker_gives_up_its_runs_at_once(site: Site) -> None:
    child = site.child(3, started=1)
    site.start_keeper()
    site.worker.kill()
    site.wait_for(child.ids, *[Status.QUEUED] * 3)
    assert site.keeper.wait(20) == 0
    assert child.process.wait(20) != 0
    assert [site.world.row(run_id).attempt_number for run_id in child.ids] == [1, 0, 0]
    assert Worker.objects.get().stopped_at is not None
    assert not site.board.path.exists()
    assert not Claim.objects.exists()
    site.world.check()


def test_killed_child_gives_up_its_runs_and_no_others(site: Site) -> None:
    dying = site.child(3, started=2)
    living = site.child(1, started=1, index=1)
    site.start_keeper()
    dying.process.kill()
    site.wait_for(dying.ids, *[Status.QUEUED] * 3)
    assert [site.world.row(run_id).attempt_number for run_id in dying.ids] == [1, 1, 0]
    assert site.world.status(living.ids[0]) == Status.EXECUTING
    wait_until(lambda: [state.index for state in site.board.states()] == [1])
    assert (site.worker.poll(), site.keeper.poll()) == (None, None)
    site.world.check()


def test_child_that_was_dead_before_the_keeper_began_is_recovered(site: Site) -> None:
    child = site.child(1, started=1)
    child.process.kill()
    child.process.wait()
    site.start_keeper()
    site.wait_for(child.ids, Status.QUEUED)


def test_claim_of_a_child_of_which_nothing_is_known_is_recovered(site: Site) -> None:
    """Its statement was still under way when it was recovered."""
    child = site.child(1, started=1)
    child.process.kill()
    child.process.wait()
    site.board.free(0)
    site.start_keeper()
    site.wait_for(child.ids, Status.QUEUED)


def test_lease_is_renewed_in_the_database_and_on_the_board(site: Site) -> None:
    before = Worker.objects.get().lease_until
    shown = site.board.lease_until = time.monotonic() + 5
    site.start_keeper()
    wait_until(lambda: Worker.objects.get().lease_until > before, 20)
    wait_until(lambda: site.board.lease_until > shown + 100, 20)


def test_worker_that_has_lost_its_lease_is_stopped(site: Site) -> None:
    child = site.child(1, started=1)
    site.start_keeper()
    site.world.end_lease()
    assert site.worker.wait(20) != 0
    assert child.process.wait(20) != 0
    site.wait_for(child.ids, Status.QUEUED)
    assert site.keeper.wait(20) == 0


def test_worker_is_stopped_before_its_lease_ends_when_the_database_hangs(site: Site) -> None:
    child = site.child(1, started=1)
    held = site.world.connect()
    held.execute("SELECT 1 FROM jobs_worker FOR UPDATE")
    ends = site.board.lease_until = time.monotonic() + 4.0
    site.start_keeper()
    assert site.worker.wait(20) != 0
    assert child.process.wait(20) != 0
    assert time.monotonic() < ends + 1
    held.rollback()
    site.wait_for(child.ids, Status.QUEUED)


def test_cancelled_attempt_that_does_not_end_is_stopped_after_its_grace(site: Site) -> None:
    child = site.child(2, started=1)
    site.start_keeper(cancel_grace_seconds=0.2)
    cancel(child.ids[0])
    assert child.process.wait(20) != 0
    site.wait_for(child.ids, Status.CANCELED, Status.QUEUED)
    assert site.worker.poll() is None
    site.world.check()


def test_overdue_attempt_that_does_not_end_is_stopped_after_its_grace(site: Site) -> None:
    child = site.child(2, started=1, max_duration=0.1)
    living = site.child(1, started=1, index=1)
    site.start_keeper(cancel_grace_seconds=0.2)
    assert child.process.wait(20) != 0
    site.wait_for(child.ids, Status.TIMED_OUT, Status.QUEUED)
    assert site.world.row(child.ids[0]).error["name"] == "MaxDurationExceeded"
    assert HookCall.objects.get().run_id == child.ids[0]
    assert site.world.status(living.ids[0]) == Status.EXECUTING
    assert site.worker.poll() is None
    site.world.check()


def test_attempt_has_its_grace_after_its_maximum_duration(site: Site) -> None:
    child = site.child(1, started=1, max_duration=0.1, since=time.monotonic() - 1)
    other = site.child(1, started=1, index=1, max_duration=0.1, since=time.monotonic() - 100)
    site.start_keeper(cancel_grace_seconds=50.0)
    site.wait_for(other.ids, Status.TIMED_OUT)
    assert child.process.poll() is None
    assert site.world.status(child.ids[0]) == Status.EXECUTING


def test_overdue_thread_is_stopped_with_its_process_and_its_neighbours_go_back(site: Site) -> None:
    overdue = site.child(1, started=1, process_id=site.worker.pid, max_duration=0.1)
    neighbour = site.child(2, started=1, index=1, process_id=site.worker.pid, max_duration=500.0)
    site.start_keeper(has_children=False, cancel_grace_seconds=0.2)
    assert site.worker.wait(20) != 0
    site.wait_for(overdue.ids, Status.TIMED_OUT)
    site.wait_for(neighbour.ids, Status.QUEUED, Status.QUEUED)
    assert [site.world.row(run_id).attempt_number for run_id in neighbour.ids] == [0, 0]
    assert site.keeper.wait(20) == 0
    site.world.check()


def test_child_that_dies_near_its_memory_limit_ran_out_of_memory(site: Site) -> None:
    hungry = site.child(1, started=1, memory_limit=1)
    other = site.child(1, started=1, index=1, memory_limit=2**40)
    site.start_keeper(larger_machines={"task": "large-1x"})
    wait_until(lambda: Worker.objects.get().heartbeat_at > Worker.objects.get().started_at, 20)
    hungry.process.kill()
    other.process.kill()
    site.wait_for(hungry.ids + other.ids, Status.QUEUED, Status.QUEUED)
    rows = [site.world.row(run_id) for run_id in hungry.ids + other.ids]
    assert [row.worker_queue for row in rows] == ["large-1x", "default"]
    errors = {row.run_id: row.error["name"] for row in Attempt.objects.all()}
    assert errors == {hungry.ids[0]: "OutOfMemory", other.ids[0]: "WorkerLost"}
    site.world.check()


def test_shutdown_that_takes_too_long_gives_back_what_executes(site: Site) -> None:
    child = site.child(2, started=1)
    site.start_keeper(shutdown_timeout_seconds=0.2)
    site.board.stop()
    assert child.process.wait(20) != 0
    assert site.worker.wait(20) != 0
    site.wait_for(child.ids, Status.QUEUED, Status.QUEUED)
    assert [site.world.row(run_id).attempt_number for run_id in child.ids] == [0, 0]
    assert site.keeper.wait(20) == 0


def test_runs_behind_a_child_that_holds_its_gil_are_given_back(site: Site) -> None:
    child = site.child(3, started=1, since=time.monotonic() - 10)
    site.start_keeper()
    site.wait_for(child.ids, Status.EXECUTING, Status.QUEUED, Status.QUEUED)
    assert child.process.poll() is None
    site.world.check()


def test_keeper_of_threads_recovers_them_when_their_worker_dies(site: Site) -> None:
    child = site.child(2, started=1, process_id=site.worker.pid)
    site.start_keeper(has_children=False)
    site.worker.kill()
    site.wait_for(child.ids, Status.QUEUED, Status.QUEUED)
    assert [site.world.row(run_id).attempt_number for run_id in child.ids] == [1, 0]
    assert site.keeper.wait(20) == 0


def test_keeper_survives_notices_that_mean_nothing_and_lost_connections(site: Site) -> None:
    child = site.child(1, started=1)
    site.start_keeper()
    site.world.sql("SELECT pg_notify(%s, 'nonsense')", [CANCEL_CHANNEL])
    gone = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
    assert site.world.sql(gone + "WHERE application_name LIKE 'jobs keeper%'", None)
    child.process.kill()
    site.wait_for(child.ids, Status.QUEUED)
    assert site.keeper.poll() is None
