"""A queue gets a limit while its runs are on their way."""

from __future__ import annotations

import pytest

from jobs_platform import queues
from jobs_platform.engine import queues as engine_queues
from jobs_platform.models import Slot
from tests.engine.test_queues import MAIL, make
from tests.races.beside import TIMEOUT, Beside
from tests.world import World


def test_a_run_that_is_being_claimed_when_its_queue_gets_a_limit_is_counted(
    world: World, beside: Beside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_queues, "MAX_ROUNDS", 10_000)
    make(world, MAIL)
    world.trigger_many(3, queue=MAIL)
    line = world.new_line()
    with line.transaction():
        (claimed,) = world.claim(1, line=line)
        overriding = beside.start(lambda: queues.override_concurrency_limit(MAIL, 1))
        with pytest.raises(TimeoutError):
            overriding.result(0.3)
    info = overriding.result(TIMEOUT)
    assert (info.running, info.slots_in_use, info.queued) == (1, 1, 2)
    assert set(Slot.objects.values_list("run_id", flat=True)) == {claimed.id}
    assert world.claim(limit=9) == ()


def test_a_claim_that_somebody_never_ends_keeps_nobody_from_the_limit(
    world: World, beside: Beside
) -> None:
    make(world, MAIL)
    world.trigger_many(3, queue=MAIL)
    line = world.new_line()
    with line.transaction():
        world.claim(1, line=line)
        overriding = beside.start(lambda: queues.override_concurrency_limit(MAIL, 1))
        assert overriding.result(TIMEOUT).override_limit == 1


def test_two_people_who_limit_a_queue_at_once_do_it_one_after_the_other(
    world: World, beside: Beside
) -> None:
    make(world, MAIL)
    world.trigger_many(5, queue=MAIL)
    live = world.claim(limit=2)
    calls = [
        beside.start(lambda limit=limit: queues.override_concurrency_limit(MAIL, limit))
        for limit in (3, 4)
    ]
    for call in calls:
        call.result(TIMEOUT)
    info = queues.retrieve(MAIL)
    assert info.override_limit in (3, 4)
    assert info.running == len(live)
    assert info.slots_in_use <= 4
    assert info.slots_in_use + info.queued >= 5
