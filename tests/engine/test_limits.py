"""What the SDK lets through, the tables can hold."""

from __future__ import annotations

import pytest

from jobs_platform.domain.errors import InvalidTaskError
from jobs_platform.models import Run, TaskDefinition
from jobs_platform.sdk import options
from jobs_platform.sdk.declaration import MAX_ID_LENGTH
from tests.engine.declaring import a_task, define
from tests.world import World

LONGEST_VERSION = "v" * options.MAX_VERSION_LENGTH
LONGEST_ID = "t" * MAX_ID_LENGTH


def test_longest_version_and_id_are_stored(world: World) -> None:
    task = a_task(LONGEST_ID, version=LONGEST_VERSION)
    define(world, task)
    assert TaskDefinition.objects.get().version == LONGEST_VERSION
    task.trigger(None, version=LONGEST_VERSION)
    run = Run.objects.get()
    assert (run.task_version, run.task_id) == (LONGEST_VERSION, LONGEST_ID)
    assert len(run.queue) > MAX_ID_LENGTH


def test_version_that_is_too_long_is_refused_at_import() -> None:
    with pytest.raises(InvalidTaskError, match="version"):
        a_task(version=LONGEST_VERSION + "v")


def test_longest_environment_is_stored(world: World) -> None:
    slug = "e" * options.MAX_SLUG_LENGTH
    a_task().trigger(None, environment=slug)
    assert Run.objects.get().environment.slug == slug
