"""Random failures at random moments, under steady work. The seed is printed; E2E_SEED repeats it.

`make test` runs a sample of it; the marker `soak` selects the long one.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from contextlib import suppress
from time import monotonic

import psutil
import pytest

from tests.e2e.audit import assert_executed, assert_hooked, assert_sound, wait_until_final
from tests.e2e.fleet import Fleet, Process
from tests.waiting import wait_until

SEED = int(os.environ.get("E2E_SEED") or random.randrange(10**6))
SECONDS = float(os.environ.get("E2E_SECONDS") or 600)
WAVE = 250


class Chaos:
    """Two workers, two beats, and somebody who means them no good."""

    def __init__(self, fleet: Fleet, seed: int) -> None:
        self.fleet = fleet
        self.random = random.Random(seed)
        self.workers = [fleet.worker(pool="prefork"), fleet.worker(pool="threads")]
        self.beats = [fleet.beat(), fleet.beat()]
        self.done: list[str] = []
        fleet.registered(*self.workers, *self.beats)

    def strike(self) -> None:
        victim = self.random.choice(VICTIMS)
        self.done.append(victim.__name__)
        victim(self)

    def child(self) -> None:
        worker = self.workers[0]
        if children := worker.children():
            with suppress(psutil.NoSuchProcess):
                self.random.choice(children).kill()

    def keeper(self) -> None:
        with suppress(psutil.NoSuchProcess, AssertionError):
            self.random.choice(self.workers).keeper().kill()

    def worker(self) -> None:
        self._replace_worker(Process.kill)

    def host(self) -> None:
        self._replace_worker(Process.kill_host)

    def deployment(self) -> None:
        self._replace_worker(lambda worker: worker.stop())

    def beat(self) -> None:
        index = self.random.randrange(len(self.beats))
        self.beats[index].kill()
        self.beats[index] = self.fleet.beat()

    def flush(self) -> None:
        self.fleet.stack.valkey.flush()

    def valkey(self) -> None:
        self.fleet.stack.valkey.kill()
        self.fleet.stack.valkey.start()

    def postgres(self) -> None:
        self.fleet.stack.postgres.restart("immediate")

    def _replace_worker(self, end: Callable[[Process], object]) -> None:
        index = self.random.randrange(len(self.workers))
        end(self.workers[index])
        pool = "prefork" if index == 0 else "threads"
        self.workers[index] = self.fleet.worker(pool=pool)


VICTIMS = [
    Chaos.child,
    Chaos.child,
    Chaos.keeper,
    Chaos.worker,
    Chaos.host,
    Chaos.deployment,
    Chaos.beat,
    Chaos.flush,
    Chaos.valkey,
    Chaos.postgres,
]


def test_a_sample_of_random_failures_loses_nothing(fleet: Fleet) -> None:
    misbehave(fleet, seed=SEED, strikes=2)


@pytest.mark.soak
@pytest.mark.timeout(SECONDS + 300)
def test_random_failures_for_long_lose_nothing(fleet: Fleet) -> None:
    misbehave(fleet, seed=SEED, seconds=SECONDS)


def misbehave(fleet: Fleet, *, seed: int, strikes: int = 10**9, seconds: float = 10**9) -> None:
    chaos = Chaos(fleet, seed)
    print(f"E2E_SEED={seed}")
    until = monotonic() + seconds
    runs: list[str] = []
    hooked: list[str] = []
    while len(chaos.done) < strikes and monotonic() < until:
        runs += fleet.trigger_many("steady", [{"seconds": 0.005}] * WAVE)
        hooked += fleet.trigger_many("hooked", [{"seconds": 0.005}] * WAVE)
        left = chaos.random.randrange(WAVE)
        wait_until(lambda left=left: unfinished(fleet) <= left, 60, lambda: f"it, {chaos.done}")
        chaos.strike()
    wait_until_final(fleet, runs + hooked, seconds=90)
    assert_sound(fleet, runs + hooked)
    assert_executed(fleet, runs + hooked)
    assert_hooked(fleet, dict.fromkeys(hooked, "COMPLETED"), more_than_once=True)


def unfinished(fleet: Fleet) -> int:
    count: int = fleet.value("SELECT count(*) FROM jobs_run WHERE finished_at IS NULL")
    return count
