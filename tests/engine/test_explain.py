"""Why a run does not execute: every reason is told, and only reasons that are true."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import pytest
from asgiref.sync import async_to_sync

from jobs_platform import queues, runs
from jobs_platform.domain.errors import RunNotFoundError
from jobs_platform.domain.ids import encode, new_uuid
from jobs_platform.domain.lifecycle import Status
from jobs_platform.engine import explain as explaining
from jobs_platform.sdk.explanation import Explanation, Reason
from tests.engine.test_queues import MAIL, make
from tests.world import World, completed, retried


def explain(run_id: UUID) -> Explanation:
    return runs.explain(encode("run", run_id))


def codes(run_id: UUID) -> list[str]:
    return [reason.code for reason in explain(run_id).reasons]


def only(run_id: UUID) -> Reason:
    (reason,) = explain(run_id).reasons
    return reason


@pytest.fixture
def paused_environment(world: World) -> Iterator[World]:
    queues.pause_all(by="mary")
    yield world
    queues.resume_all()


def test_a_run_that_is_next_waits_for_nothing(world: World) -> None:
    run_id = world.trigger()
    explanation = explain(run_id)
    assert (explanation.status, explanation.position) == (Status.QUEUED, None)
    assert [reason.code for reason in explanation.reasons] == ["next"]


def test_a_claimable_run_is_told_who_goes_before_it(world: World) -> None:
    world.trigger_many(2)
    reason = only(world.trigger())
    assert (reason.code, "2 runs go before it" in reason.text) == ("others_first", True)


def test_a_delay_is_told_with_its_end(world: World) -> None:
    run_id = world.trigger(delay_seconds=60.0)
    reason = only(run_id)
    assert (reason.code, reason.until) == ("delay", world.row(run_id).run_at)


@pytest.mark.parametrize("is_limited", [False, True])
def test_a_retry_is_told_with_its_time(world: World, is_limited: bool) -> None:
    make(world, MAIL, concurrency_limit=1 if is_limited else None)
    run = world.executing(queue=MAIL)
    world.exchange([retried(run, after=60.0)], with_slots=[run.id])
    reason = only(run.id)
    assert (reason.code, reason.until) == ("retry", world.row(run.id).run_at)
    assert "Attempt 1 of 3 failed" in reason.text


def test_a_negative_priority_is_told_with_its_time(world: World) -> None:
    assert codes(world.trigger(priority_seconds=-60.0)) == ["not_due"]


def test_the_limit_of_the_queue_is_told_with_the_slots_in_use(world: World) -> None:
    make(world, MAIL, concurrency_limit=2)
    found = world.trigger_many(4, queue=MAIL)
    assert [explain(run_id).position for run_id in found] == [None, None, 1, 2]
    assert only(found[2]).text == "2 of 2 slots of queue mail are in use."
    assert codes(found[3]) == ["queue_limit", "others_first"]


def test_the_limit_of_a_key_is_told_with_the_runs_that_hold_it(world: World) -> None:
    make(world, MAIL)
    first = world.trigger(queue=MAIL, concurrency_keys=("tenant",))
    second = world.trigger(queue=MAIL, concurrency_keys=("other", "tenant"))
    reason = only(second)
    assert (reason.code, reason.runs) == ("key_limit", (encode("run", first),))
    assert "'tenant' has 1 of 1 slots in use" in reason.text
    assert explain(second).position == 1


def test_the_rate_limit_is_told_with_the_next_start(world: World) -> None:
    make(world, MAIL, rate_limit=1, rate_window_seconds=60.0)
    first, second = world.trigger_many(2, queue=MAIL)
    assert only(second).until is None  # the first was admitted, and has not started yet
    run = world.claim_one()
    assert run.id == first
    world.exchange([completed(run)], with_slots=[first])
    reason = only(second)
    assert (reason.code, reason.until is not None) == ("rate_limit", True)
    world.sql("UPDATE jobs_event SET created_at = created_at - interval '61 seconds'")
    assert codes(second) == ["next"]


def test_a_paused_queue_is_told_with_who_and_when(world: World) -> None:
    make(world, MAIL)
    run_id = world.trigger(queue=MAIL)
    queues.pause(MAIL, by="mary")
    reason = only(run_id)
    assert (reason.code, "(by mary)" in reason.text) == ("queue_paused", True)
    queues.resume(MAIL)
    assert codes(run_id) == ["next"]


def test_a_paused_environment_is_told_with_who_and_when(paused_environment: World) -> None:
    reason = only(paused_environment.trigger())
    assert (reason.code, "(by mary)" in reason.text) == ("environment_paused", True)


def test_a_missing_worker_is_told_with_the_command_that_starts_one(world: World) -> None:
    reason = only(world.trigger(worker_queue="large-1x"))
    assert reason.code == "no_worker"
    assert reason.text.endswith("manage.py worker --machine large-1x")
    run_id = world.trigger()
    world.end_lease()
    assert codes(run_id) == ["no_worker"]


def test_several_reasons_are_all_told(world: World) -> None:
    make(world, MAIL, concurrency_limit=1)
    world.trigger_many(2, queue=MAIL)
    run_id = world.trigger(queue=MAIL)
    queues.pause(MAIL)
    world.end_lease()
    assert codes(run_id) == ["queue_paused", "queue_limit", "no_worker", "others_first"]


def test_a_run_that_executes_or_is_over_is_told_so(world: World) -> None:
    run = world.executing()
    assert only(run.id).text.startswith("Attempt 1 of 3 executes on worker test since ")
    world.finish(completed(run))
    assert only(run.id).text.startswith("It ended as COMPLETED, ")


def test_counting_ends_at_a_cap(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explaining, "COUNTED", 2)
    make(world, MAIL, concurrency_limit=1)
    found = world.trigger_many(5, queue=MAIL)
    explanation = explain(found[-1])
    assert (explanation.position, explanation.is_position_capped) == (3, True)
    assert "2 or more runs go before it" in explanation.reasons[-1].text


def test_an_unknown_run_is_refused(world: World) -> None:
    with pytest.raises(RunNotFoundError):
        explain(new_uuid())


def test_async_code_asks_the_same(world: World) -> None:
    run_id = encode("run", world.trigger())
    assert async_to_sync(runs.aexplain)(run_id) == runs.explain(run_id)
