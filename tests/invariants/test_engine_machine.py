"""The engine keeps its promises whatever is called in whatever order (P1, P2 and P5).

Hypothesis calls it, the model says what must have happened, and after each step the database is
held against it.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.invariants.machine import EngineMachine
from tests.world import World


def run_machine(world: World, *, examples: int, steps: int) -> None:
    run_state_machine_as_test(
        lambda: EngineMachine(world),
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.slow
@pytest.mark.timeout(600)  # it takes seconds, unless it has something to shrink
def test_no_order_of_calls_loses_or_doubles_a_run(world: World) -> None:
    run_machine(world, examples=18, steps=40)


@pytest.mark.soak
@pytest.mark.timeout(3_600)
def test_no_order_of_calls_loses_or_doubles_a_run_in_hundreds_of_examples(world: World) -> None:
    run_machine(world, examples=600, steps=80)
