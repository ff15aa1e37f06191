"""One stack for all end-to-end tests, and a fleet on empty tables for each."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import psycopg
import pytest

from jobs_platform.embedded.stack import Stack
from tests.e2e.fleet import Fleet, Web

_EMPTY = """
DO $$ DECLARE name text; BEGIN
    FOR name IN SELECT format('%I', tablename) FROM pg_tables WHERE schemaname = 'public'
        AND (tablename LIKE 'jobs\\_%' OR tablename LIKE 'django\\_celery\\_beat\\_%')
        AND tablename NOT IN ('jobs_environment')
    LOOP EXECUTE 'TRUNCATE ' || name || ' CASCADE'; END LOOP;
END $$
"""


@pytest.fixture(scope="session")
def e2e_stack() -> Iterator[Stack]:
    """A migrated stack of these tests' own: they kill it, freeze it and start it again."""
    folder = _folder()
    stack = Stack(folder, durable=False)
    try:
        stack.start()
        with _fleet(stack, None) as fleet:
            fleet.migrate()
        yield stack
    finally:
        stack.destroy()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def web(e2e_stack: Stack) -> Iterator[Web]:
    """The web process by which tests trigger."""
    with _fleet(e2e_stack, None) as fleet:
        yield Web(fleet)


@pytest.fixture
def fleet(e2e_stack: Stack, web: Web, request: pytest.FixtureRequest) -> Iterator[Fleet]:
    """A fleet without processes yet, on empty tables and an empty Valkey."""
    e2e_stack.valkey.start()
    e2e_stack.postgres.start()
    e2e_stack.valkey.flush()
    with psycopg.connect(e2e_stack.database_url, autocommit=True) as connection:
        connection.execute(_EMPTY)
    with _fleet(e2e_stack, web) as fleet:
        request.node.stash[_FLEET] = fleet
        yield fleet


class _Closing:
    """A fleet in a folder of its own, whose processes end with the block."""

    def __init__(self, stack: Stack, web: Web | None) -> None:
        self._folder = _folder()
        self._fleet = Fleet(stack, self._folder, web)

    def __enter__(self) -> Fleet:
        return self._fleet

    def __exit__(self, *_: object) -> None:
        self._fleet.end()
        shutil.rmtree(self._folder, ignore_errors=True)


_fleet = _Closing
_FLEET = pytest.StashKey[Fleet]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test shows what its processes wrote."""
    report = yield
    fleet = item.stash.get(_FLEET, None)
    if fleet is not None and report.when == "call" and report.failed:
        report.sections += [(f"the end of {name}", text) for name, text in fleet.logs()]
    return report


def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="jobs-e2e-"))
    folder.chmod(0o711)  # Postgres may run as another user
    return folder
