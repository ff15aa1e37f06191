"""Eight processes claim from one queue: nobody gets what another one has."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from jobs_platform.domain.lifecycle import Status
from jobs_platform.models import Run
from tests.world import World

CLAIMER = Path(__file__).with_name("claimer.py")
PROJECT = CLAIMER.parents[2]
CLAIMERS = 8


def claimers(world: World, *, attempts: int) -> list[list[str]]:
    """What each of the processes claimed, begun at the same moment."""
    processes = []
    for slot in range(1, CLAIMERS + 1):
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.races.claimer"],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        orders = {
            "conninfo": world.conninfo,
            "worker_id": world.holder.worker_id,
            "slot": slot,
            "environment_id": world.environment_id,
            "attempts": attempts,
        }
        process.stdin.write(json.dumps(orders) + "\n")
        process.stdin.flush()
        processes.append(process)
    assert [process.stdout.readline() for process in processes] == ["ready\n"] * CLAIMERS
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0] * CLAIMERS
    return [json.loads(out) for out, _ in answers]


@pytest.mark.parametrize(
    ("runs", "attempts"),
    [
        pytest.param(4_000, 5, id="20,000"),
        pytest.param(20_000, 50, id="1,000,000", marks=[pytest.mark.soak, pytest.mark.timeout(0)]),
    ],
)
def test_no_claim_is_made_twice(world: World, runs: int, attempts: int) -> None:
    for start in range(0, runs, 1_000):
        world.trigger_many(min(1_000, runs - start), max_attempts=attempts)
    claimed = [name for names in claimers(world, attempts=attempts) for name in names]
    assert len(claimed) >= runs * attempts
    assert len(set(claimed)) == len(claimed)
    assert Run.objects.filter(status=Status.COMPLETED, attempt_number=attempts).count() == runs
    ((claims,),) = world.sql("SELECT count(*) FROM jobs_event WHERE move = 'claim'")
    assert claims == len(claimed)
    ((attempt_rows,),) = world.sql("SELECT count(*) FROM jobs_attempt")
    assert attempt_rows == runs * attempts
    world.check()
