"""The world of committed rows and the bench, for the tests of this folder."""

from tests.runtime.bench import bench as bench  # noqa: PLC0414
from tests.world import transactional_db as transactional_db  # noqa: PLC0414
from tests.world import world as world  # noqa: PLC0414
