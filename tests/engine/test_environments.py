"""Environments are made when they are first named, and remembered only when they are committed."""

from __future__ import annotations

from django.db import transaction

from jobs_platform.engine.environments import environment_id, forget
from jobs_platform.models import Environment, Run
from jobs_platform.sdk import ports
from tests.world import World, rolled_back


def test_new_environment_is_made_once(world: World) -> None:
    made = environment_id("staging")
    assert environment_id("staging") == made
    forget()
    assert environment_id("staging") == made
    assert Environment.objects.filter(slug="staging").count() == 1


def test_configured_environment_is_meant_when_none_is_named(world: World) -> None:
    assert environment_id() == environment_id(ports.configuration().environment)


def test_environment_that_a_rollback_takes_away_is_not_remembered(world: World) -> None:
    with rolled_back():
        world.trigger(environment="new")
        world.trigger(environment="new")
    assert not Environment.objects.filter(slug="new").exists()
    run_id = world.trigger(environment="new")
    assert Run.objects.get(id=run_id).environment.slug == "new"


def test_environment_that_was_committed_is_found_by_another_connection(world: World) -> None:
    with transaction.atomic():
        made = environment_id("staging")
    forget()
    assert environment_id("staging") == made


def test_environment_that_two_make_at_once_is_one(world: World) -> None:
    """The other one has committed between the look and the making."""
    other = world.connect()
    other.execute("INSERT INTO jobs_environment (slug) VALUES ('staging')")
    other.commit()
    with transaction.atomic():
        assert environment_id("staging") == Environment.objects.get(slug="staging").id


def test_known_environment_costs_no_query(world: World, django_assert_num_queries) -> None:
    environment_id("staging")
    environment_id("staging")
    with django_assert_num_queries(0):
        environment_id("staging")
