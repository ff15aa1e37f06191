"""What must hold for every run of a fleet, whatever was killed meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jobs_platform.domain.ids import decode
from jobs_platform.domain.lifecycle import FINAL
from jobs_platform.sdk.hooks import FINAL_HOOKS
from tests.e2e.fleet import Fleet
from tests.waiting import wait_until

FINAL_HOOK = {"COMPLETED": "on_success", "CANCELED": "on_cancel"}


def wait_until_final(fleet: Fleet, runs: Sequence[str], *, seconds: float) -> None:
    """Until each of these runs has reached a final state."""
    ids = [decode("run", run) for run in runs]

    def unfinished() -> list[tuple[object, ...]]:
        return fleet.rows(
            "SELECT run.status, run.is_claimable, worker.id, worker.pool, worker.stopped_at,"
            " worker.lease_until - now() AS lease, count(*), min(run.id::text)"
            " FROM jobs_run run LEFT JOIN jobs_worker worker ON worker.id = run.worker_id"
            " WHERE run.id = ANY(%s) AND run.status <> ALL(%s) GROUP BY 1, 2, 3, 4, 5, 6",
            ids,
            sorted(FINAL),
        )

    wait_until(lambda: not unfinished(), seconds, lambda: f"the end of {unfinished()}")


def assert_sound(
    fleet: Fleet, runs: Sequence[str], *, statuses: Mapping[str, int] | None = None
) -> None:
    """Every run ended as expected (COMPLETED unless said otherwise), and nothing is left over."""
    wait_until(lambda: not fleet.value("SELECT count(*) FROM jobs_hook_call"), 10, "all hook calls")
    wait_until(lambda: not fleet.value("SELECT count(*) FROM jobs_claim"), 10, "all claims")
    ids = [decode("run", run) for run in runs]
    counted = fleet.rows(
        "SELECT status, count(*) FROM jobs_run WHERE id = ANY(%s) GROUP BY status", ids
    )
    assert dict(counted) == dict(statuses or {"COMPLETED": len(runs)})
    assert fleet.value("SELECT count(*) FROM jobs_run") == len(runs)
    _assert_history(fleet)
    assert fleet.journal.count("second live attempt") == {}


def assert_executed(fleet: Fleet, runs: Sequence[str]) -> None:
    """Each function came to its end at least once, and no more often than it was started."""
    ended = fleet.journal.count("end")
    assert set(runs) <= set(ended)
    assert not ended - fleet.journal.count("start")


def assert_hooked(fleet: Fleet, runs: Mapping[str, str], *, more_than_once: bool = False) -> None:
    """The final hooks of each run (its id: its status) were called; twice only after a crash."""
    counted = {name: fleet.journal.count(name) for name in FINAL_HOOKS}
    for run, status in runs.items():
        hook = FINAL_HOOK.get(status, "on_failure")
        for name in FINAL_HOOKS:
            calls = counted[name][run]
            wanted = name in (hook, "on_complete")
            assert calls == wanted or (more_than_once and wanted and calls), (
                f"{name} of {run}, which is {status}, was called {calls} times"
            )


def _assert_history(fleet: Fleet) -> None:
    """Versions without gaps, one attempt row for each attempt, and a run that agrees with both."""
    gaps = fleet.rows(
        "SELECT run.id, run.version, array_agg(event.version ORDER BY event.version)"
        " FROM jobs_run run LEFT JOIN jobs_event event ON event.run_id = run.id GROUP BY run.id"
        " HAVING array_agg(event.version ORDER BY event.version) <>"
        "        (SELECT array_agg(n) FROM generate_series(1, run.version) n)"
    )
    assert gaps == []
    attempts = fleet.rows(
        "SELECT run.id, run.status, run.attempt_number, array_agg(attempt.number ORDER BY number)"
        " FROM jobs_run run LEFT JOIN jobs_attempt attempt ON attempt.run_id = run.id"
        " GROUP BY run.id HAVING count(attempt.number) <> run.attempt_number"
        "     OR max(attempt.number) <> run.attempt_number"
    )
    assert attempts == []
    ends = fleet.rows(
        "SELECT run.id, run.status, attempt.status FROM jobs_run run"
        " JOIN jobs_attempt attempt"
        "   ON attempt.run_id = run.id AND attempt.number = run.attempt_number"
        " WHERE run.status <> attempt.status"
    )
    assert ends == []
