"""`manage.py prune`: what goes, what stays, and when it is asked for nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jobs_platform.management.commands import prune
from jobs_platform.models import Run
from jobs_platform.sdk import ports
from tests.commands.conftest import Manage
from tests.world import World, completed


def test_only_old_final_runs_go_in_chunks(
    manage: Manage, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prune, "CHUNK", 2)
    runs = [world.executing() for _ in range(5)]
    world.finish(*(completed(run) for run in runs))
    waiting = world.trigger()
    dry = manage("prune", "--older-than", "0s", "--dry-run")
    assert dry.out == "5 runs older than 0s would go.\n"
    assert manage("prune", "--older-than", "1h", "--json").json["runs"] == 0
    done = manage("prune", "--older-than", "0s", "--json").json
    assert (done["runs"], done["is_dry_run"], done["older_than_seconds"]) == (5, False, 0)
    assert [run.id for run in Run.objects.all()] == [waiting]


def test_the_default_is_the_configured_retention(manage: Manage, db: None) -> None:
    assert manage("prune", "--json").json["older_than_seconds"] == 90 * 86_400


def test_runs_that_are_kept_for_ever_are_kept(
    manage: Manage, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(ports.configuration(), retention_days=None)
    monkeypatch.setattr(ports._platform, "configuration", settings)
    finished = manage("prune")
    assert (finished.code, "kept for ever" in finished.out) == (0, True)


@pytest.mark.parametrize("age", ["1x", "-3d", "", "inf"])
def test_an_age_is_a_duration(manage: Manage, age: str) -> None:
    finished = manage("prune", f"--older-than={age}")
    assert (finished.code, "error[duration_invalid]" in finished.err) == (2, True)
