"""The statements inside of an admission go by their indexes, however many wait.

EXPLAIN does not look into functions; the database's own counts do: what a transaction has read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from jobs_platform.engine.line import Line
from tests.engine.test_fairness import a_long_line
from tests.limited import QUEUE, a_queue
from tests.world import World

WAITING = 20_000
MOST_ROWS = 6_000
"""Of one table: an admission reads what it lets go and the keys, not the line behind them."""
_ADMIT = "SELECT admitted FROM jobs_admit(%s::integer, %s::text, 500, %s::text[])"
_READ = """
    SELECT relname, seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables
    WHERE relname IN ('jobs_run', 'jobs_slot', 'jobs_start', 'jobs_event', 'jobs_attempt')
"""


def admission(line: Line, world: World, freed: list[str] | None) -> tuple[int, dict[str, int]]:
    """How many runs it lets go, and how many rows of each table it reads."""
    with line.transaction():
        params = [world.environment_id, QUEUE, freed]
        rows = line.connection.execute(_ADMIT, params).fetchall()
        read = dict(line.connection.execute(_READ).fetchall())
    return sum(row[0] for row in rows), read


class _CallersLine(Line):
    """A connection like the caller's: without what an engine's own line tells the planner."""

    @property
    def connection(self) -> Any:
        opened = super().connection
        opened.execute("RESET enable_seqscan; RESET enable_hashjoin; RESET enable_mergejoin")
        opened.execute("RESET plan_cache_mode; RESET jit")
        return opened


@pytest.fixture(params=[Line, _CallersLine], ids=["engine", "caller"])
def line(world: World, request: pytest.FixtureRequest) -> Iterator[Line]:
    with request.param(world.conninfo, application_name="admission") as opened:
        yield opened


@pytest.mark.parametrize("is_analyzed", [True, False], ids=["analyzed", "statistics lag"])
@pytest.mark.parametrize(
    ("facts", "first"),
    [
        pytest.param({}, 2, id="keys"),
        pytest.param({"concurrency_limit": 50}, 2, id="queue"),
        pytest.param({"concurrency_limit": 50, "key_concurrency_limit": 60}, 50, id="both"),
        pytest.param({"rate_limit": 10, "rate_window_seconds": 60.0}, 2, id="rate"),
        pytest.param(
            {"rate_limit": 10, "rate_window_seconds": 60.0, "rate_per_key": True}, 2, id="key rate"
        ),
    ],
)
@pytest.mark.parametrize("further", [[], ["vendor"]], ids=["one key", "two keys"])
def test_an_admission_reads_no_more_than_it_lets_go(
    world: World,
    line: Line,
    *,
    is_analyzed: bool,
    facts: dict[str, Any],
    first: int,
    further: list[str],
) -> None:
    a_queue(world, **facts)
    world.sql("ANALYZE jobs_run, jobs_slot, jobs_start")
    a_long_line(world, "hog", further=further, runs=WAITING)
    a_long_line(world, "small", runs=50)
    if is_analyzed:
        world.sql("ANALYZE jobs_run, jobs_slot, jobs_start")
    admissions = [admission(line, world, freed) for freed in (None, ["", "hog", "small"], None)]
    assert [admitted for admitted, _ in admissions] == [first, 0, 0]
    for _, read in admissions:
        assert all(rows <= MOST_ROWS for rows in read.values()), read


def test_a_line_without_keys_is_let_go_from_its_head(world: World, line: Line) -> None:
    a_queue(world, concurrency_limit=50)
    a_long_line(world, "", runs=WAITING)
    assert [admission(line, world, None)[0] for _ in range(2)] == [50, 0]
    world.sql("DELETE FROM jobs_slot")
    admitted, read = admission(line, world, [""])
    assert admitted == 50
    assert all(rows <= MOST_ROWS for rows in read.values()), read
