"""What an attempt may allocate, and what becomes of one that wants more."""

from __future__ import annotations

import json
import resource
from collections.abc import Callable
from typing import Any

import pytest

from jobs_platform import Context, InvalidOptionError, OutOfMemory, Retry, Status, task
from jobs_platform.domain.configuration import Configuration
from jobs_platform.domain.machines import GIGABYTE, Machine
from jobs_platform.engine.handoff import Outcome
from jobs_platform.runtime.executor import Executor
from jobs_platform.runtime.memory import allocated_bytes, limited
from tests.unit.runtime.claims import claimed

pytestmark = pytest.mark.usefixtures("fresh_process")

SMALL = Machine(cpu=1, memory_gb=0.2)
CONFIGURATION = Configuration(machines={"small": SMALL, "large": Machine(cpu=1, memory_gb=2)})
Run = Callable[..., Outcome]


def _allocate(gigabytes: float) -> int:
    return len(bytearray(int(gigabytes * GIGABYTE)))


def _execute(task_id: str, *, limits_memory: bool = True, **facts: Any) -> Outcome:
    executor = Executor(CONFIGURATION, lambda entry: None, limits_memory=limits_memory)
    return executor.execute(claimed(task_id, **{"worker_queue": "small", **facts}))


@pytest.fixture
def greedy() -> None:
    @task(retry=Retry(min_timeout="7s", randomize=False))
    def greedy() -> int:
        return _allocate(0.5)


@pytest.fixture
def moving(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = Retry(min_timeout="7s", randomize=False, out_of_memory=OutOfMemory(machine="large-1x"))

    @task(id="moving", retry=policy)
    def moving() -> int:
        return _allocate(0.5)


def test_more_than_the_limit_is_refused_and_the_limit_is_gone_after() -> None:
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with limited(GIGABYTE // 8):
        assert _allocate(0.05)
        with pytest.raises(MemoryError):
            _allocate(0.5)
    assert resource.getrlimit(resource.RLIMIT_DATA) == before
    assert _allocate(0.5)


def test_the_limit_is_beside_what_the_process_uses_already() -> None:
    held = bytearray(GIGABYTE // 4)
    used = allocated_bytes()
    assert used is not None
    assert used > len(held)
    with limited(GIGABYTE // 8):
        assert _allocate(0.05)


def test_an_attempt_that_wants_more_than_its_machine_has_crashed(greedy: None) -> None:
    outcome = _execute("greedy")
    error = json.loads(outcome.error or "")
    assert (error["name"], "small (0.2 GB)" in error["message"]) == ("OutOfMemory", True)
    assert "_allocate" in error["traceback"]
    assert (outcome.status, outcome.is_lost, outcome.machine) == (Status.QUEUED, True, None)
    assert outcome.retry_after_seconds == 7.0
    last = _execute("greedy", attempt_number=3)
    assert (last.status, last.is_lost) == (Status.CRASHED, True)


def test_it_is_tried_once_more_on_the_machine_that_its_task_names(moving: None) -> None:
    outcome = _execute("moving")
    assert (outcome.status, outcome.machine) == (Status.QUEUED, "large-1x")
    assert (outcome.is_lost, outcome.retry_after_seconds) == (True, 7.0)


def test_it_has_crashed_when_that_machine_was_too_small_too(
    moving: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CONFIGURATION.machines, "large-1x", SMALL)  # type: ignore[arg-type]
    outcome = _execute("moving", worker_queue="large-1x", attempt_number=2)
    assert (outcome.status, outcome.machine, outcome.retry_after_seconds) == (
        Status.CRASHED,
        None,
        None,
    )


def test_it_has_crashed_when_no_attempt_is_left(moving: None) -> None:
    assert _execute("moving", attempt_number=3).status is Status.CRASHED


@pytest.mark.parametrize("facts", [{"worker_queue": "default"}, {"limits_memory": False}])
def test_without_a_machine_or_a_process_of_its_own_nothing_is_limited(
    greedy: None, facts: dict[str, Any]
) -> None:
    assert _execute("greedy", **facts).status is Status.COMPLETED


def test_a_memory_error_without_a_limit_is_a_failure_like_any_other() -> None:
    @task
    def breaks() -> None:
        raise MemoryError

    outcome = _execute("breaks", worker_queue="default")
    assert json.loads(outcome.error or "")["name"] == "MemoryError"
    assert not outcome.is_lost


def test_the_context_tells_the_machine() -> None:
    @task
    def look(payload: Any, ctx: Context) -> list[Any]:
        return [ctx.machine.name, ctx.machine.cpu, ctx.machine.memory_gb]

    assert _execute("look").output == '["small",1,0.2]'
    assert _execute("look", worker_queue="default").output == '["default",null,null]'


def test_a_machine_that_does_not_exist_is_refused_at_import() -> None:
    with pytest.raises(InvalidOptionError, match='Did you mean "large-'):
        OutOfMemory(machine="large")
    with pytest.raises(InvalidOptionError, match="out_of_memory"):
        Retry(out_of_memory="large-1x")  # type: ignore[arg-type]
