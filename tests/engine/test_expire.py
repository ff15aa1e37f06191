"""Times to live: what expires, what that frees, and who is never expired."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from jobs_platform.domain.lifecycle import Status
from jobs_platform.engine.due import what_is_due
from jobs_platform.engine.expire_due import expire_due
from jobs_platform.engine.read import retrieve
from jobs_platform.engine.slots import admit
from jobs_platform.engine.trigger import trigger
from jobs_platform.models import HookCall, Slot
from jobs_platform.sdk.ports import KeyClaim
from jobs_platform.sdk.queue import Queue
from tests.world import World, request


def expired(world: World, **options: Any) -> UUID:
    run_id = world.trigger(ttl_seconds=60.0, **options)
    world.sql(
        "UPDATE jobs_run SET expires_at = now() - interval '1 second' WHERE id = %s", [run_id]
    )
    return run_id


def expire(world: World, **options: int) -> Any:
    return expire_due(world.line, environment_id=world.environment_id, **options)


def test_run_that_was_not_started_in_time_expires(world: World) -> None:
    run_id = expired(world, worker_queue="large")
    found = expire(world)
    assert (found.count, found.hooked, found.freed) == (1, {"large": 1}, {})
    run = retrieve(run_id)
    assert (run.status, run.is_failed, run.is_completed) == (Status.EXPIRED, True, True)
    assert run.error.name == "Expired"
    assert world.moves(run_id) == ["trigger", "expire"]
    assert HookCall.objects.get().run_id == run_id
    assert expire(world).count == 0
    world.check()


def test_expired_run_is_never_claimed(world: World) -> None:
    expired(world)
    assert world.claim(limit=5) == ()


def test_run_in_time_and_run_without_a_limit_do_not_expire(world: World) -> None:
    world.trigger(ttl_seconds=60.0)
    world.trigger()
    assert expire(world).count == 0
    assert len(world.claim(limit=5)) == 2


def test_started_run_never_expires(world: World) -> None:
    run_id = world.trigger(ttl_seconds=60.0)
    world.claim_one()
    row = world.row(run_id)
    assert (row.expires_at, row.ttl_seconds) == (None, 60.0)
    assert expire(world).count == 0


def test_expiry_frees_the_key(world: World) -> None:
    keyed = request(idempotency=KeyClaim("k", "global:k", 60.0), ttl_seconds=60.0)
    first = trigger(keyed)
    world.sql("UPDATE jobs_run SET expires_at = now()")
    expire(world)
    assert world.row(first.id).held_key is None
    assert trigger(keyed).id != first.id


def test_expiry_of_an_admitted_run_frees_its_slots(world: World) -> None:
    options = {"queue": "q", "queue_limits": Queue("q", 1), "concurrency_keys": ("a", "b")}
    run_id = world.trigger(ttl_seconds=60.0, **options)
    assert sorted(Slot.objects.values_list("key", flat=True)) == ["", "a", "b"]
    other = world.trigger(**options)
    world.sql("UPDATE jobs_run SET expires_at = now() WHERE id = %s", [run_id])
    found = expire(world)
    assert {queue: sorted(keys) for queue, keys in found.freed.items()} == {"q": ["", "a", "b"]}
    assert not Slot.objects.exists()
    admit(world.line, world.environment_id, "q", freed=found.freed["q"])
    assert world.row(other).is_claimable
    world.check()


def test_expiry_of_a_waiting_run_touches_no_slot_of_others(world: World) -> None:
    limits = Queue("q", 1)
    holder = world.trigger(queue="q", queue_limits=limits)
    run_id = expired(world, queue="q", queue_limits=limits)
    assert world.row(run_id).is_waiting
    assert expire(world).freed == {}
    assert Slot.objects.get().run_id == holder
    assert not world.row(run_id).is_waiting


def test_only_so_many_expire_at_once_the_oldest_first(world: World) -> None:
    ids = [expired(world) for _ in range(3)]
    world.sql("UPDATE jobs_run SET expires_at = now() - interval '1 h' WHERE id = %s", [ids[2]])
    assert expire(world, limit=1).count == 1
    assert world.status(ids[2]) == Status.EXPIRED
    assert expire(world, limit=5).count == 2


def test_clock_foresees_an_expiry_and_sees_it(world: World) -> None:
    world.trigger(ttl_seconds=30.0)
    due = what_is_due(world.line, environment_id=world.environment_id)
    assert due.seconds_until_next == pytest.approx(30.0, abs=5.0)
    assert not due.has_expiring
    world.sql("UPDATE jobs_run SET expires_at = now()")
    assert what_is_due(world.line, environment_id=world.environment_id).has_expiring
