"""A run that wants more memory than its machine has goes on to a larger one, or crashes."""

from __future__ import annotations

from tests.e2e.audit import assert_hooked, assert_sound, wait_until_final
from tests.e2e.fleet import Fleet


def test_a_run_that_is_out_of_memory_is_tried_once_more_on_the_larger_machine(
    fleet: Fleet,
) -> None:
    fleet.registered(fleet.worker(concurrency=1), fleet.beat())
    modest, larger, greedy = (
        fleet.trigger("hungry", {"gigabytes": gigabytes}) for gigabytes in (0.1, 0.5, 2.0)
    )
    wait_until_final(fleet, [modest, larger, greedy], seconds=30)
    rows = fleet.rows(
        "SELECT run.worker_queue, run.status, run.error->>'name',"
        " array_agg(attempt.status || coalesce(' ' || (attempt.error->>'name'), '')"
        " ORDER BY attempt.number)"
        " FROM jobs_run run JOIN jobs_attempt attempt ON attempt.run_id = run.id"
        " GROUP BY run.id ORDER BY run.id"
    )
    crashed = "CRASHED OutOfMemory"
    assert rows == [
        ("micro", "COMPLETED", None, ["COMPLETED"]),
        ("small-2x", "COMPLETED", None, [crashed, "COMPLETED"]),
        ("small-2x", "CRASHED", "OutOfMemory", [crashed, crashed]),
    ]
    assert len({entry.pid for entry in fleet.journal.entries("start")}) == 1
    assert_sound(fleet, [modest, larger, greedy], statuses={"COMPLETED": 2, "CRASHED": 1})
    assert_hooked(fleet, {modest: "COMPLETED", larger: "COMPLETED", greedy: "CRASHED"})
