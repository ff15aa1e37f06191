"""Two thousand runs, and somebody dies in the middle: none is lost, none lives twice."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from urllib.error import URLError

import pytest

from tests.e2e.audit import assert_executed, assert_hooked, assert_sound, wait_until_final
from tests.e2e.fleet import Fleet, Process
from tests.waiting import wait_until

SECONDS = 90.0
"""For all of them; a machine with nothing else to do needs a tenth."""


@dataclass
class Scene:
    """A fleet at work."""

    fleet: Fleet
    worker: Process
    beat: Process


Disaster = Callable[[Scene], None]


def kill_a_pool_child(scene: Scene) -> None:
    scene.worker.children()[0].kill()


def kill_all_pool_children(scene: Scene) -> None:
    for child in scene.worker.children():
        with suppress(ProcessLookupError):
            child.kill()


def kill_the_worker(scene: Scene) -> None:
    scene.worker.kill()
    scene.worker = scene.fleet.worker(concurrency=4)


def kill_the_keeper(scene: Scene) -> None:
    scene.worker.keeper().kill()


def kill_the_host(scene: Scene) -> None:
    scene.worker.kill_host()
    scene.worker = scene.fleet.worker(concurrency=4)


def kill_the_beat(scene: Scene) -> None:
    scene.beat.kill()
    scene.beat = scene.fleet.beat()


def flush_valkey(scene: Scene) -> None:
    scene.fleet.stack.valkey.flush()


def kill_valkey(scene: Scene) -> None:
    scene.fleet.stack.valkey.kill()
    scene.fleet.stack.valkey.start()


def crash_postgres(scene: Scene) -> None:
    scene.fleet.stack.postgres.restart("immediate")


DISASTERS = [
    kill_a_pool_child,
    pytest.param(kill_all_pool_children, marks=pytest.mark.soak),
    kill_the_worker,
    pytest.param(kill_the_keeper, marks=pytest.mark.soak),
    kill_the_host,
    kill_the_beat,
    flush_valkey,
    kill_valkey,
    crash_postgres,
]


@pytest.mark.parametrize("disaster", DISASTERS)
def test_two_thousand_runs_survive(fleet: Fleet, disaster: Disaster) -> None:
    scene = Scene(fleet, fleet.worker(concurrency=4), fleet.beat())
    fleet.registered(scene.worker, scene.beat)
    runs = fleet.trigger_many("steady", [{"seconds": 0.002}] * 1000)
    hooked = fleet.trigger_many("hooked", [{"seconds": 0.002}] * 1000)
    wait_until(lambda: completed(fleet) > 200, SECONDS, "some completed runs")
    disaster(scene)
    assert completed(fleet) < 2000, "the disaster came too late"
    wait_until_final(fleet, runs + hooked, seconds=SECONDS)
    assert_sound(fleet, runs + hooked)
    assert_executed(fleet, runs + hooked)
    assert_hooked(fleet, dict.fromkeys(hooked, "COMPLETED"), more_than_once=True)
    assert scene.worker.is_alive
    assert scene.beat.is_alive


def test_runs_wait_for_a_frozen_valkey_and_start_when_it_thaws(fleet: Fleet) -> None:
    scene = Scene(fleet, fleet.worker(concurrency=4), fleet.beat())
    fleet.registered(scene.worker, scene.beat)
    runs = fleet.trigger_many("hooked", [{"seconds": 0.002}] * 2000)
    wait_until(lambda: completed(fleet) > 200, SECONDS, "some completed runs")
    fleet.stack.valkey.freeze()
    frozen = fleet.value("SELECT clock_timestamp()")
    wait_until(
        lambda: fleet.value("SELECT clock_timestamp() - %s > interval '15 s'", frozen), 30, "15 s"
    )
    runs.append(fleet.trigger("hooked", {}))
    fleet.stack.valkey.thaw()
    wait_until_final(fleet, runs, seconds=SECONDS)
    assert_sound(fleet, runs)
    assert_hooked(fleet, dict.fromkeys(runs, "COMPLETED"))


def test_whatever_a_killed_web_process_had_accepted_is_executed(fleet: Fleet) -> None:
    worker, beat = fleet.worker(), fleet.beat()
    fleet.registered(worker, beat)
    web = fleet.own_web()
    accepted: list[str] = []

    def trigger_on() -> None:
        with suppress(URLError, ConnectionError):
            while True:
                accepted.append(web.call("trigger", task="steady", payload={}))
                if len(accepted) == 50:
                    web.process.signal(signal.SIGKILL)

    trigger_on()
    assert len(accepted) >= 50
    runs = [row[0] for row in fleet.rows("SELECT id::text FROM jobs_run")]
    wait_until(lambda: completed(fleet) == len(runs), SECONDS, "the end of all runs")
    assert set(accepted) <= set(fleet.journal.count("end"))


def completed(fleet: Fleet) -> int:
    count: int = fleet.value("SELECT count(*) FROM jobs_run WHERE status = 'COMPLETED'")
    return count
