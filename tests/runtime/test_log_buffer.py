"""Log lines between runs and the database: in order, bounded, each once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from jobs_platform.domain.errors import DatabaseUnavailableError
from jobs_platform.engine.handoff import ClaimedRun
from jobs_platform.models import LogLine
from jobs_platform.runtime import log_buffer
from jobs_platform.runtime.log_buffer import LogBuffer
from tests.runtime.bench import LossyLine
from tests.world import World, log_entry


@pytest.fixture
def lossy(world: World) -> Iterator[LossyLine]:
    with LossyLine(world, "lossy") as line:
        yield line


def add(logs: LogBuffer, run: ClaimedRun, numbers: range) -> None:
    for number in numbers:
        logs.add(log_entry(run, str(number)))


def fail_meanwhile(logs: LogBuffer, meanwhile: Callable[[], None]) -> None:
    """A write that fails for want of a database, after some time."""
    with suppress(DatabaseUnavailableError), logs.taken():
        meanwhile()
        raise DatabaseUnavailableError(reason="away")


def stored() -> list[str]:
    return list(LogLine.objects.order_by("id").values_list("message", flat=True))


def waiting(logs: LogBuffer) -> list[str]:
    with logs.taken() as entries:
        return [entry.message for entry in entries]


def test_lines_are_written_in_batches_and_in_their_order(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_buffer, "BATCH", 4)
    logs = LogBuffer()
    add(logs, world.executing(), range(10))
    assert not logs.is_idle
    logs.flush(world.line, environment_id=world.environment_id)
    assert stored() == [str(n) for n in range(10)]
    assert logs.is_idle


@pytest.mark.parametrize("point", [1, 2, 3])
def test_lines_that_were_written_are_not_written_again_after_a_lost_connection(
    world: World, lossy: LossyLine, monkeypatch: pytest.MonkeyPatch, point: int
) -> None:
    monkeypatch.setattr(log_buffer, "BATCH", 4)
    lossy.losses = {point: "before"}
    logs = LogBuffer()
    add(logs, world.executing(), range(10))
    with pytest.raises(DatabaseUnavailableError):
        logs.flush(lossy, environment_id=world.environment_id)
    logs.flush(world.line, environment_id=world.environment_id)
    assert stored() == [str(n) for n in range(10)]


def test_oldest_lines_go_when_the_database_is_away_for_long(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_buffer, "MOST", 6)
    logs = LogBuffer()
    run = world.executing()
    add(logs, run, range(6))
    fail_meanwhile(logs, lambda: add(logs, run, range(6, 10)))
    assert waiting(logs) == ["4", "5", "6", "7", "8", "9"]


def test_whole_buffer_may_be_newer_than_what_could_not_be_written(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_buffer, "MOST", 3)
    logs = LogBuffer()
    run = world.executing()
    add(logs, run, range(3))
    fail_meanwhile(logs, lambda: add(logs, run, range(3, 8)))
    assert waiting(logs) == ["5", "6", "7"]


def test_nothing_to_write_costs_no_statement(lossy: LossyLine) -> None:
    LogBuffer().flush(lossy, environment_id=1)
    assert lossy.count == 0
