"""Ourselves, used as an application uses us."""

from __future__ import annotations

import django
from django.core.management import call_command
from django.db import connection

django.setup()

from benchmarks.producing import payload  # noqa: E402 - tasks need a project that is set up
from benchmarks.tasks.noop import limited, long, noop  # noqa: E402
from jobs_platform import BatchItem  # noqa: E402


class Producer:
    """Every run is stored, with its attempts and its timeline."""

    def prepare(self) -> None:
        call_command("migrate", verbosity=0)
        connection.close()

    def fill(self, first: int, count: int) -> None:
        noop.batch_trigger(payload(number) for number in range(first, first + count))

    def fill_keys(self, first: int, count: int, keys: int) -> None:
        """Runs of so many keys in turn; each key lets one go at a time."""
        noop.batch_trigger(
            BatchItem(payload(number), concurrency_key=f"key {number % keys}")
            for number in range(first, first + count)
        )

    def fill_limited(self, first: int, count: int) -> None:
        """Runs of a queue that lets fifty go at a time."""
        limited.batch_trigger(payload(number) for number in range(first, first + count))

    def trigger(self, number: int) -> None:
        noop.trigger(payload(number))

    def trigger_long(self, number: int, seconds: float) -> None:
        long.trigger({"number": number, "seconds": seconds})

    def unfinished(self) -> float:
        # Cheap on purpose, it is asked while the clock runs: nothing claimable, nothing claimed.
        return _number(
            "SELECT count(*) FROM ("
            "(SELECT FROM jobs_run WHERE is_claimable AND environment_id IS NOT NULL LIMIT 1)"
            " UNION ALL (SELECT FROM jobs_claim LIMIT 1)) AS waiting"
        )

    def stored(self) -> dict[str, float]:
        """What there is of runs that are COMPLETED, to be held against what was triggered."""
        runs = _number("SELECT count(*) FROM jobs_run WHERE status = 'COMPLETED'")
        return {
            "runs": runs,
            "attempts": _number("SELECT count(*) FROM jobs_attempt"),
            "events": _number("SELECT count(*) FROM jobs_event"),
        }

    def slowest_short(self) -> float:
        """Seconds from the claim to the stored result, of the slowest run that does nothing."""
        return _number(
            "SELECT extract(epoch FROM max(finished_at - attempt_started_at))::float8 "
            "FROM jobs_run WHERE task_id = 'bench-noop'"
        )


def _number(query: str) -> float:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return float(cursor.fetchone()[0])
