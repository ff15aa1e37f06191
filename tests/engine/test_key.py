"""Idempotency keys: one run for each, single and in batches, until the key is free again."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from django.db import IntegrityError, transaction

from jobs_platform.domain.lifecycle import Status
from jobs_platform.engine.cancel import cancel
from jobs_platform.engine.key import reset_key
from jobs_platform.engine.read import retrieve
from jobs_platform.engine.trigger import trigger, trigger_batch
from jobs_platform.models import Batch, Run
from jobs_platform.sdk.ports import KeyClaim, Triggered
from tests.world import World, completed, ended, request, rolled_back

DAY = 86_400.0


def claim(key: str = "k", ttl_seconds: float = DAY) -> KeyClaim:
    return KeyClaim(key, f"global:{key}", ttl_seconds)


def keyed(key: str = "k", *, environment: str | None = None, **options: Any) -> Triggered:
    return trigger(request(idempotency=claim(key), **options), environment=environment)


def age(*, run_id: UUID | None = None) -> None:
    rows = Run.objects.filter(id=run_id) if run_id else Run.objects.all()
    ids = list(rows.values_list("id", flat=True))
    with transaction.get_connection().cursor() as cursor:
        cursor.execute(
            "UPDATE jobs_run SET key_expires_at = now() - interval '1 second' WHERE id = ANY(%s)",
            [ids],
        )


def test_second_trigger_with_a_key_gets_the_first_run(world: World) -> None:
    first, second = keyed(), keyed(payload='{"other": 1}')
    assert (first.is_cached, second.is_cached) == (False, True)
    assert second.id == first.id
    row = world.row(first.id)
    assert (row.idempotency_key, row.held_key, row.payload) == ("k", "global:k", {})
    assert world.bell.rings == [("default", 1)]
    world.check()


def test_key_is_shown_by_the_run_and_handed_out_with_its_claim(world: World) -> None:
    answer = keyed(concurrency_keys=("a", "b"), ttl_seconds=60.0, max_duration_seconds=7.0)
    run = retrieve(answer.id)
    assert (run.idempotency_key, run.concurrency_keys) == ("k", ("a", "b"))
    assert (run.ttl_seconds, run.max_duration_seconds) == (60.0, 7.0)
    assert run.expires_at > run.created_at
    claimed = world.claim_one()
    assert (claimed.idempotency_key, claimed.max_duration_seconds) == ("k", 7.0)


def test_keys_of_other_tasks_and_environments_are_others(world: World) -> None:
    answers = [keyed(), keyed(task_id="other"), keyed(environment="staging"), keyed("k2")]
    assert not any(answer.is_cached for answer in answers)


def test_completed_and_cancelled_runs_keep_their_key(world: World) -> None:
    done = keyed("done")
    world.finish(completed(world.claim_one()))
    gone = keyed("gone")
    cancel(gone.id)
    assert keyed("done") == Triggered(done.id, "task", is_cached=True)
    assert keyed("gone") == Triggered(gone.id, "task", is_cached=True)


def test_failed_run_frees_its_key(world: World) -> None:
    first = keyed()
    world.finish(ended(world.claim_one(), Status.FAILED))
    second = keyed()
    assert (second.is_cached, second.id != first.id) == (False, True)
    assert world.row(first.id).idempotency_key == "k"


@pytest.mark.parametrize("in_transaction", [False, True])
def test_aged_key_makes_a_new_run(world: World, in_transaction: bool) -> None:
    first = keyed()
    age()
    if in_transaction:
        with transaction.atomic():
            second = keyed()
    else:
        second = keyed()
    assert not second.is_cached
    assert keyed() == Triggered(second.id, "task", is_cached=True)
    assert world.row(first.id).held_key is None
    world.check()


def test_aged_key_of_a_live_run_is_freed_without_locking_it(world: World) -> None:
    """A worker that finishes it must not wait for the transaction of whoever triggers again."""
    keyed()
    run = world.claim_one()
    age()
    world.sql("SET lock_timeout = '2s'")
    with transaction.atomic():
        assert not keyed().is_cached
        line = world.new_line()
        line.connection.execute("SET lock_timeout = '2s'")
        assert world.exchange([completed(run)], line=line).finished == {run.id}
    world.check()


def test_key_that_the_same_transaction_made_and_that_aged_is_free(world: World) -> None:
    with transaction.atomic():
        first = keyed()
        age(run_id=first.id)
        second = keyed()
    assert not second.is_cached
    assert Run.objects.count() == 2


def test_rolled_back_run_holds_no_key(world: World) -> None:
    with rolled_back():
        keyed()
    assert not keyed().is_cached


def test_reset_frees_a_key_and_says_whether_there_was_one(world: World) -> None:
    first = keyed()
    assert reset_key("task", "global:k")
    assert not reset_key("task", "global:k")
    assert not reset_key("other", "global:k")
    assert keyed().id != first.id
    world.check()


def test_batch_answers_with_the_runs_that_hold_keys(world: World) -> None:
    known = keyed("b")
    world.bell.rings.clear()
    batch_id, answers = trigger_batch(
        [request(idempotency=claim("a")), request(idempotency=claim("b")), request()]
    )
    assert [answer.is_cached for answer in answers] == [False, True, False]
    assert answers[1].id == known.id
    assert Batch.objects.get(id=batch_id).run_count == 2
    assert Run.objects.filter(batch_id=batch_id).count() == 2
    assert world.bell.rings == [("default", 2)]
    world.check()


def test_equal_keys_within_a_batch_make_one_run(world: World) -> None:
    _, answers = trigger_batch(
        [request(idempotency=claim(key), payload=str(n)) for n, key in enumerate("abab")]
    )
    assert [answer.is_cached for answer in answers] == [False, False, True, True]
    assert answers[2].id == answers[0].id
    assert world.row(answers[0].id).payload == 0
    assert Run.objects.count() == 2


def test_batch_of_which_everything_is_cached_is_empty(world: World) -> None:
    keyed()
    batch_id, answers = trigger_batch([request(idempotency=claim())] * 2)
    assert all(answer.is_cached for answer in answers)
    assert Batch.objects.get(id=batch_id).run_count == 0


def test_batch_makes_new_runs_for_aged_keys(world: World) -> None:
    keyed("a")
    age()
    fresh = keyed("b")
    _, answers = trigger_batch([request(idempotency=claim(key)) for key in "abc"])
    assert [answer.is_cached for answer in answers] == [False, True, False]
    assert answers[1].id == fresh.id


def test_key_and_delay_go_together(world: World) -> None:
    first = keyed(delay_seconds=60.0)
    assert keyed(delay_seconds=5.0) == Triggered(first.id, "task", is_cached=True)
    assert world.status(first.id) == Status.DELAYED


def test_unstorable_item_does_not_hide_behind_a_key(world: World) -> None:
    with pytest.raises(IntegrityError):
        trigger_batch([request(idempotency=claim()), request(max_attempts=0)])
    assert not Run.objects.exists()
