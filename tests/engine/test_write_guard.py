"""The ORM reads the engine's tables and writes none of them, through whatever door."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.apps import apps
from django.core import serializers
from django.db import models

from jobs_platform.domain.errors import WriteGuardError
from jobs_platform.domain.ids import new_uuid
from jobs_platform.models import Batch, Environment, Run
from jobs_platform.models.guard import EngineModel, ReadOnlyQuerySet
from tests.world import World

MODELS = list(apps.get_app_config("jobs").get_models())
BATCH = {"id": new_uuid(), "environment_id": 1, "run_count": 1}


def awaited(function: Callable[..., Any]) -> Callable[..., Any]:
    """Call an asynchronous method of the ORM from here, whose loop has no thread of its own."""

    async def call(*args: Any, **kwargs: Any) -> Any:
        return await function(*args, **kwargs)

    return async_to_sync(call)


DOORS: dict[str, Callable[[], Any]] = {
    "create": lambda: Batch.objects.create(**BATCH),
    "acreate": lambda: awaited(Batch.objects.acreate)(**BATCH),
    "bulk_create": lambda: Batch.objects.bulk_create([Batch(**BATCH)]),
    "abulk_create": lambda: awaited(Batch.objects.abulk_create)([Batch(**BATCH)]),
    "bulk_update": lambda: Batch.objects.bulk_update([Batch(**BATCH)], ["run_count"]),
    "abulk_update": lambda: awaited(Batch.objects.abulk_update)([Batch(**BATCH)], ["run_count"]),
    "get_or_create": lambda: Environment.objects.get_or_create(slug="new"),
    "aget_or_create": lambda: awaited(Environment.objects.aget_or_create)(slug="new"),
    "update_or_create": lambda: Environment.objects.update_or_create(slug="new"),
    "aupdate_or_create": lambda: awaited(Environment.objects.aupdate_or_create)(slug="new"),
    "update": lambda: Run.objects.update(status="COMPLETED"),
    "update filtered": lambda: Run.objects.filter(version=1).update(version=2),
    "aupdate": lambda: awaited(Run.objects.aupdate)(version=2),
    "delete": lambda: Run.objects.all().delete(),
    "adelete": lambda: awaited(Run.objects.all().adelete)(),
    "raw delete": lambda: Run.objects.all()._raw_delete("default"),
    "save": lambda: Batch(**BATCH).save(),
    "save forced": lambda: Batch(**BATCH).save(force_insert=True),
    "asave": lambda: awaited(Batch(**BATCH).asave)(),
    "save_base": lambda: Batch(**BATCH).save_base(raw=True),
    "instance delete": lambda: Run.objects.get().delete(),
    "adelete instance": lambda: awaited(Run.objects.get().adelete)(),
    "base manager": lambda: Run._base_manager.update(version=2),
    "related update": lambda: Run.objects.get().children.update(version=2),
    "related add": lambda: Run.objects.get().children.add(Run.objects.get()),
    "related create": lambda: Run.objects.get().children.create(),
    "related clear": lambda: Run.objects.get().children.clear(),
    "fixture": lambda: [
        loaded.save()
        for loaded in serializers.deserialize(
            "json", '[{"model": "jobs.environment", "pk": 99, "fields": {"slug": "x"}}]'
        )
    ],
}


@pytest.mark.parametrize("door", DOORS)
def test_every_door_of_the_orm_is_closed(world: World, door: str) -> None:
    world.trigger()
    before = world.sql("SELECT xmin::text FROM jobs_run")
    with pytest.raises(WriteGuardError) as refused:
        DOORS[door]()
    assert "engine" in str(refused.value)
    assert world.sql("SELECT xmin::text FROM jobs_run") == before
    assert not Batch.objects.exists()


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_table_of_the_engine_has_the_guard(model: type[models.Model]) -> None:
    assert issubclass(model, EngineModel)
    assert isinstance(model._default_manager.get_queryset(), ReadOnlyQuerySet)
    assert isinstance(model._base_manager.get_queryset(), ReadOnlyQuerySet)


def test_reading_goes_on_as_ever(world: World) -> None:
    run_id = world.trigger()
    run = Run.objects.select_related("environment").get(id=run_id)
    run.refresh_from_db()
    assert awaited(Run.objects.aget)(id=run_id) == run
    assert list(run.events.values_list("move", flat=True)) == ["trigger"]
    assert Run.objects.filter(status="QUEUED").count() == 1
