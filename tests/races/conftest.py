"""The world of committed rows, and calls beside it, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.races.beside import Beside, beside_of
from tests.world import World
from tests.world import transactional_db as transactional_db  # noqa: PLC0414
from tests.world import world as world  # noqa: PLC0414


@pytest.fixture
def beside(world: World) -> Iterator[Beside]:
    with beside_of(world) as made:
        yield made
