"""Pruning: only old final runs, a bounded number of them, and everything they left."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from jobs_platform.domain.lifecycle import Status
from jobs_platform.engine.cancel import cancel
from jobs_platform.engine.prune import Pruned, prune
from jobs_platform.engine.trigger import trigger_batch
from jobs_platform.engine.worker import stop_worker
from jobs_platform.models import Attempt, Batch, Event, HookCall, LogLine, Run, Worker
from tests.world import World, completed, log_entry, request

LONG = timedelta(days=30)


def pruned(world: World, **options: object) -> Pruned:
    return prune(world.line, environment_id=world.environment_id, older_than=LONG, **options)


def age(world: World, *, days: int = 90, run_id: UUID | None = None) -> None:
    """Make what exists older: the time in its id, too, which the scan goes by."""
    ids = [run_id] if run_id else [row[0] for row in world.sql("SELECT id FROM jobs_run")]
    for old in ids:
        milliseconds = (old.int >> 80) - days * 86_400_000
        new = UUID(int=milliseconds << 80 | old.int & ((1 << 80) - 1))
        for table in ("event", "attempt", "log_line", "hook_call"):
            world.sql(f"UPDATE jobs_{table} SET run_id = %s WHERE run_id = %s", [new, old])
        world.sql(
            "UPDATE jobs_run SET id = %s, created_at = created_at - %s * interval '1 day', "
            "finished_at = finished_at - %s * interval '1 day' WHERE id = %s",
            [new, days, days, old],
        )


def finished(world: World, count: int = 1) -> list[UUID]:
    world.trigger_many(count)
    runs = world.claim(limit=count)
    world.exchange(
        [completed(run, has_final_hooks=True) for run in runs],
        log_entries=[log_entry(run, "line") for run in runs],
    )
    return [run.id for run in runs]


def test_old_final_run_goes_with_all_its_history(world: World) -> None:
    finished(world)
    age(world)
    assert [model.objects.count() for model in (Event, Attempt, LogLine, HookCall)] == [3, 1, 1, 1]
    assert pruned(world) == Pruned(runs=1, batches=0)
    for model in (Run, Event, Attempt, LogLine, HookCall):
        assert not model.objects.exists(), model


def test_young_final_run_stays(world: World) -> None:
    finished(world)
    age(world, days=29)
    assert pruned(world).runs == 0
    assert Run.objects.count() == 1


def test_old_run_that_is_not_over_stays(world: World) -> None:
    world.trigger_many(2)
    world.claim_one()
    age(world)
    assert pruned(world).runs == 0
    assert Run.objects.count() == 2
    assert Event.objects.count() == 3


def test_old_run_that_has_just_ended_stays(world: World) -> None:
    run_id = world.trigger()
    age(world)
    cancel(Run.objects.get().id)
    assert pruned(world).runs == 0
    assert Run.objects.get().status == Status.CANCELED
    assert run_id != Run.objects.get().id


def test_pruning_is_bounded_and_goes_on_where_it_stopped(world: World) -> None:
    finished(world, 5)
    age(world)
    assert [pruned(world, limit=2).runs for _ in range(4)] == [2, 2, 1, 0]


def test_oldest_runs_go_first(world: World) -> None:
    old, older = finished(world, 2)
    age(world, run_id=old)
    age(world, run_id=older, days=200)
    assert pruned(world, limit=1).runs == 1
    (left,) = Run.objects.values_list("id", flat=True)
    assert left.int & ((1 << 80) - 1) == old.int & ((1 << 80) - 1)


def test_run_that_somebody_holds_is_passed_over(world: World) -> None:
    finished(world, 2)
    age(world)
    held = world.connect()
    held.execute("SELECT 1 FROM jobs_run ORDER BY id LIMIT 1 FOR UPDATE")
    assert pruned(world).runs == 1
    held.rollback()
    assert pruned(world).runs == 1


def test_other_environments_keep_their_runs(world: World) -> None:
    run_id = world.trigger(environment="staging")
    cancel(run_id)
    age(world)
    assert pruned(world).runs == 0


def test_old_batch_goes_with_its_last_run(world: World) -> None:
    trigger_batch([request(), request()])
    first, second = world.claim(limit=2)
    world.finish(completed(first), completed(second))
    world.sql("UPDATE jobs_batch SET created_at = created_at - interval '90 days'")
    age(world, run_id=first.id)
    assert pruned(world) == Pruned(runs=1, batches=0)
    age(world, run_id=second.id)
    assert pruned(world) == Pruned(runs=1, batches=1)
    assert not Batch.objects.exists()


def test_young_batch_stays_also_when_it_is_empty(world: World) -> None:
    trigger_batch([])
    assert pruned(world).batches == 0
    assert Batch.objects.count() == 1


def test_worker_that_stopped_long_ago_goes_unless_it_holds_something(world: World) -> None:
    world.executing()
    stopped = world.new_worker()
    stop_worker(world.line, stopped.worker_id)
    world.sql("UPDATE jobs_worker SET lease_until = now() - interval '90 days'")
    live = world.new_worker()
    pruned(world)
    left = set(Worker.objects.values_list("id", flat=True))
    assert left == {world.holder.worker_id, live.worker_id}
