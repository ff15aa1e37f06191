"""The slots of a process: one for each thread that drains."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from jobs_platform.domain.lifecycle import Status
from jobs_platform.models import Claim
from jobs_platform.runtime.process import WorkerIdentity, WorkerProcess
from tests.runtime.bench import Bench, Brake
from tests.waiting import wait_until


@pytest.fixture
def process(bench: Bench) -> Iterator[WorkerProcess]:
    bench.slot.close()
    holder = bench.world.holder
    identity = WorkerIdentity(holder.worker_id, holder.environment_id, holder.environment)
    made = WorkerProcess(identity, bench.around, places=range(1, 4), parent_id=None)
    yield made
    made.stop()


def test_thread_keeps_its_slot(bench: Bench, process: WorkerProcess) -> None:
    bench.world.trigger_many(2)
    assert process.drain("default") == 2
    assert process.drain("default") == 0
    (state,) = bench.board.states()
    assert (state.index, state.slot) == (1, threading.get_native_id())


def test_threads_have_slots_of_their_own(bench: Bench, process: WorkerProcess) -> None:
    brake = Brake()
    bench.executor.acts["slow"] = brake
    slow = bench.world.trigger(task_id="slow")
    other = bench.beside.start(lambda: process.drain("default"))
    assert brake.begun.wait(20)
    quick = bench.world.trigger()
    assert process.drain("default") == 1
    assert bench.world.status(quick) == Status.COMPLETED
    assert sorted(state.index for state in bench.board.states()) == [1, 2]
    brake.release()
    assert other.result(20) == 1
    assert bench.world.status(slow) == Status.COMPLETED
    assert not Claim.objects.exists()


def test_watch_of_the_process_looks_after_all_its_threads(
    bench: Bench, process: WorkerProcess
) -> None:
    brake = Brake()
    bench.executor.acts["slow"] = brake
    first = bench.world.trigger()
    bench.world.trigger(task_id="slow")
    draining = bench.beside.start(lambda: process.drain("default"))
    assert brake.begun.wait(20)
    bench.wait_for([first], Status.COMPLETED)
    brake.release()
    draining.result(20)


def test_stopped_process_leaves_no_place_and_no_connection(bench: Bench) -> None:
    bench.slot.close()
    holder = bench.world.holder
    identity = WorkerIdentity(holder.worker_id, holder.environment_id, holder.environment)
    process = WorkerProcess(identity, bench.around, places=range(1, 4), parent_id=None)
    process.drain("default")
    begun = time.monotonic()
    process.stop()
    assert time.monotonic() - begun < 4
    assert bench.board.states() == []
    query = "SELECT 1 FROM pg_stat_activity WHERE application_name ~ '^jobs (slot|watch)'"
    wait_until(lambda: not bench.world.sql(query), 20, "the connections to end")
