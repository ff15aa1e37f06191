"""Any number of beats: schedules and periodic tasks fire once for each due time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from jobs_platform.domain.ids import encode
from tests.e2e.audit import assert_sound, wait_until_final
from tests.e2e.fleet import Fleet
from tests.waiting import wait_until

TIMES = 8


def test_a_schedule_fires_once_for_each_nominal_time_with_two_beats(fleet: Fleet) -> None:
    beats = [fleet.beat() for _ in range(2)]
    fleet.registered(fleet.worker(), *beats)
    nominal = [datetime(2001, 1, 1, tzinfo=UTC) + timedelta(days=day) for day in range(TIMES)]
    for number, time in enumerate(nominal):
        fleet.rows("UPDATE jobs_schedule SET next_fire_at = %s", time)
        wait_until(
            lambda number=number: fleet.value("SELECT count(*) FROM jobs_run") > number, 20, "a run"
        )
        if number == TIMES // 2:
            beats[0].kill()
    fired = fleet.rows("SELECT scheduled_at, count(*) FROM jobs_run GROUP BY 1 ORDER BY 1")
    assert fired == [(time, 1) for time in nominal]
    runs = [encode("run", row[0]) for row in fleet.rows("SELECT id FROM jobs_run")]
    wait_until_final(fleet, runs, seconds=20)
    assert_sound(fleet, runs)
    told = sorted(entry.detail for entry in fleet.journal.entries("nominal time"))
    assert told == [time.isoformat() for time in nominal]
    assert fleet.value("SELECT next_fire_at > now() FROM jobs_schedule")


def test_a_nominal_time_that_has_fired_already_stops_no_beat(fleet: Fleet) -> None:
    beat = fleet.beat()
    fleet.registered(fleet.worker(), beat)
    for _ in range(2):
        fleet.rows("UPDATE jobs_schedule SET next_fire_at = '2001-01-01'")
        wait_until(
            lambda: fleet.value("SELECT next_fire_at > now() FROM jobs_schedule"), 20, "its end"
        )
    assert fleet.value("SELECT count(*) FROM jobs_run") == 1
    assert beat.is_alive


def test_a_periodic_task_is_sent_once_for_each_due_time_by_two_beats(fleet: Fleet) -> None:
    make_periodic_task(fleet, "each-second")
    worker = fleet.worker()
    wait_until(lambda: "ready" in worker.said(), 30, "the worker")
    beats = [fleet.beat() for _ in range(2)]
    fleet.registered(worker, *beats)
    wait_until(lambda: ticks(fleet) >= 4, 30, "some ticks")
    beats[0].kill()
    before = ticks(fleet)
    wait_until(lambda: ticks(fleet) >= before + 4, 30, "ticks after the death of a beat")
    counted = fleet.value("SELECT total_run_count FROM django_celery_beat_periodictask")
    assert abs(counted - ticks(fleet)) <= 1
    times = [entry.at for entry in fleet.journal.entries("tick")]
    assert len(times) <= times[-1] - times[0] + 2


@pytest.mark.soak
def test_a_periodic_task_waits_for_valkey_and_goes_on(fleet: Fleet) -> None:
    make_periodic_task(fleet, "each-second")
    fleet.registered(fleet.worker(), fleet.beat())
    wait_until(lambda: ticks(fleet) >= 1, 30, "a tick")
    fleet.stack.valkey.kill()
    counted = "SELECT total_run_count FROM django_celery_beat_periodictask"
    fleet.stack.valkey.start()
    before = ticks(fleet)
    wait_until(lambda: ticks(fleet) >= before + 2, 30, "ticks after the restart")
    assert abs(fleet.value(counted) - ticks(fleet)) <= 2


def test_a_beat_survives_a_crash_of_postgres_and_keeps_its_periodic_tasks(fleet: Fleet) -> None:
    make_periodic_task(fleet, "each-second")
    beat = fleet.beat()
    fleet.registered(fleet.worker(), beat)
    wait_until(lambda: ticks(fleet) >= 1, 30, "a tick")
    fleet.stack.postgres.restart("immediate")
    before = ticks(fleet)
    wait_until(lambda: ticks(fleet) >= before + 2, 30, "ticks after the crash")
    assert beat.is_alive


def make_periodic_task(fleet: Fleet, name: str) -> None:
    (interval,) = fleet.rows(
        "INSERT INTO django_celery_beat_intervalschedule (every, period) VALUES (1, 'seconds')"
        " RETURNING id"
    )[0]
    fleet.rows(
        "INSERT INTO django_celery_beat_periodictask"
        " (name, task, interval_id, args, kwargs, headers, enabled, one_off, total_run_count,"
        "  date_changed, description)"
        " VALUES (%s, 'e2e.tick', %s, '[\"each-second\"]', '{}', '{}', true, false, 0, now(), '')",
        name,
        interval,
    )


def ticks(fleet: Fleet) -> int:
    return len(fleet.journal.entries("tick"))
