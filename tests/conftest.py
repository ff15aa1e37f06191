"""The servers of the test session: started once, for the first test that needs them, and never for
unit tests.

DATABASE_URL and REDIS_URL from outside are respected; then nothing is started.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from channels.layers import channel_layers as live_layers
from django.conf import settings
from django.db import connections

from jobs_platform.embedded.stack import Stack
from jobs_platform.settings import channel_layers, database_settings

TESTS = Path(__file__).parent
# Folders whose tests need no server; they must run without one.
SERVERLESS = ("unit", "architecture", "embedded", "wheel", "e2e")
GIVEN_DATABASE_URL = os.environ.get("DATABASE_URL")
GIVEN_REDIS_URL = os.environ.get("REDIS_URL")


@dataclass(frozen=True, slots=True)
class Servers:
    """Where the session's servers are, and the stack if we have started them."""

    database_url: str
    redis_url: str
    stack: Stack | None


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """The session's servers; Django, Celery and Channels are pointed at them."""
    if GIVEN_DATABASE_URL and GIVEN_REDIS_URL:
        yield Servers(GIVEN_DATABASE_URL, GIVEN_REDIS_URL, None)
        return
    folder = make_data_dir()
    stack = Stack(folder, durable=False)
    try:
        stack.start()
        servers = Servers(
            GIVEN_DATABASE_URL or stack.database_url, GIVEN_REDIS_URL or stack.redis_url, stack
        )
        point_django_at(database_url=servers.database_url, redis_url=servers.redis_url)
        yield servers
    finally:
        connections.close_all()
        stack.destroy()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def stack(servers: Servers) -> Stack:
    """The session's stack. Tests that stop a server take `own_stack` instead."""
    if servers.stack is None:
        pytest.skip("the servers are given by DATABASE_URL and REDIS_URL")
    return servers.stack


@pytest.fixture(scope="session")
def new_cluster() -> Iterator[Path]:
    """A data folder with a cluster that was never used: copying it is faster than initdb."""
    folder = make_data_dir()
    stack = Stack(folder, durable=False)
    try:
        with stack:
            pass
        yield folder
    finally:
        stack.destroy()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def own_stack(new_cluster: Path) -> Iterator[Stack]:
    """A running stack of the test's own, to be stopped, killed and frozen at will."""
    folder = make_data_dir()
    subprocess.run(["cp", "-a", new_cluster / "postgres", folder], check=True)  # keeps the owner
    stack = Stack(folder, durable=False)
    try:
        yield stack.start()
    finally:
        stack.destroy()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def new_data_dir() -> Iterator[Callable[[], Path]]:
    """Makes data folders and removes them after the test (their stacks must have been
    destroyed).
    """
    folders: list[Path] = []

    def make() -> Path:
        folders.append(make_data_dir())
        return folders[-1]

    yield make
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def django_db_modify_db_settings(servers: Servers) -> None:
    """pytest-django asks for this before it makes the test database."""


@pytest.fixture
def process_environment(servers: Servers, db: None) -> dict[str, str]:
    """The variables that point another process of the project at the test database."""
    name = connections["default"].settings_dict["NAME"]
    return {
        "DATABASE_URL": servers.database_url.rpartition("/")[0] + f"/{name}",
        "REDIS_URL": servers.redis_url,
        "DJANGO_SECRET_KEY": settings.SECRET_KEY,
    }


@pytest.fixture(autouse=True)
def _servers_where_needed(request: pytest.FixtureRequest) -> None:
    if request.path.relative_to(TESTS).parts[0] not in SERVERLESS:
        request.getfixturevalue("servers")


def make_data_dir() -> Path:
    """A short-lived folder that the user of an embedded Postgres can reach, other than pytest's."""
    folder = Path(tempfile.mkdtemp(prefix="jobs-tests-"))
    folder.chmod(0o711)
    return folder


def point_django_at(*, database_url: str, redis_url: str) -> None:
    settings.DATABASE_URL, settings.REDIS_URL = database_url, redis_url
    settings.CELERY_BROKER_URL = redis_url
    settings.CHANNEL_LAYERS = channel_layers(redis_url)
    live_layers.backends.clear()
    connections.settings["default"] = connections.configure_settings(
        {"default": database_settings(database_url)}
    )["default"]
    if hasattr(connections._connections, "default"):
        del connections["default"]
