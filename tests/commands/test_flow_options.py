"""Options of `trigger` and `batch_trigger` about queues, times and keys."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jobs_platform.domain.lifecycle import Status
from jobs_platform.models import Run
from tests.commands.conftest import Manage


def test_keys_times_and_weights_reach_the_run(manage: Manage, hello: str) -> None:
    finished = manage(
        "trigger", hello, "--queue", "vendor", "--concurrency-key", "a", "--concurrency-key", "b",
        "--rate-weight", "3", "--ttl", "10m", "--max-duration", "90", "--json",
    )  # fmt: skip
    assert finished.code == 0, finished
    run = Run.objects.get()
    assert (run.queue, run.concurrency_key, run.further_keys) == ("vendor", "a", ["b"])
    assert (run.rate_weight, run.ttl_seconds, run.max_duration_seconds) == (3, 600.0, 90.0)


@pytest.mark.parametrize("delay", ["1h", "3600", "2100-01-31T09:00Z", "2100-01-31"])
def test_a_delay_is_a_duration_or_an_instant(manage: Manage, hello: str, delay: str) -> None:
    assert manage("trigger", hello, "--delay", delay).code == 0
    run = Run.objects.get()
    ahead = run.run_at - datetime.now(UTC)
    assert run.status == Status.DELAYED
    assert (
        ahead > timedelta(days=9_999) if delay.startswith("21") else ahead > timedelta(minutes=59)
    )


def test_a_key_that_is_held_gives_its_run(manage: Manage, hello: str) -> None:
    options = ("--idempotency-key", "k", "--idempotency-key-ttl", "1h")
    first = manage("trigger", hello, *options, "--json").json
    again = manage("trigger", hello, *options)
    assert again.out.splitlines()[0] == first["id"]
    assert "No run was made" in again.err
    assert Run.objects.count() == 1


def test_a_debounced_trigger_pushes_its_run_back(manage: Manage, hello: str) -> None:
    options = ("--debounce-key", "d", "--debounce-delay", "30s", "--debounce-mode", "leading")
    first = manage("trigger", hello, "--payload", '{"n": 1}', *options, "--json").json
    second = manage("trigger", hello, "--payload", '{"n": 2}', *options, "--json").json
    assert second["id"] == first["id"]
    assert Run.objects.get().payload == {"n": 1}


@pytest.mark.parametrize(
    ("options", "code", "expected"),
    [
        (("--delay", "soon"), 2, "error[duration_invalid]"),
        (("--delay", "2026-13-01"), 2, "not an instant such as"),
        (("--ttl=-5s",), 2, "error[duration_invalid]"),
        (("--debounce-key", "d"), 2, "needs both --debounce-key and --debounce-delay"),
        (("--debounce-mode", "none"), 2, "invalid choice: 'none'"),
        (("--rate-weight", "0"), 1, "is not a whole number"),
        (("--idempotency-key-ttl", "1h"), 1, "has no meaning without an idempotency_key"),
    ],
)
def test_what_cannot_be_is_refused(
    manage: Manage, hello: str, options: tuple[str, ...], code: int, expected: str
) -> None:
    finished = manage("trigger", hello, *options)
    assert (finished.code, expected in finished.err) == (code, True), finished
    assert not Run.objects.exists()


def test_a_batch_counts_what_was_there_already(manage: Manage, hello: str, tmp_path: Path) -> None:
    items = tmp_path / "items.ndjson"
    line = '{"payload": {"n": %d}, "options": {"idempotency_key": "k%d"}}\n'
    items.write_text("".join(line % (n, n) for n in (1, 2)))
    first = manage("batch_trigger", hello, "--items", str(items), "--with-options", "--json").json
    assert (first["run_count"], first["cached_count"]) == (2, 0)
    items.write_text("".join(line % (n, n) for n in (2, 3)))
    second = manage("batch_trigger", hello, "--items", str(items), "--with-options", "--json").json
    assert (second["run_count"], second["cached_count"]) == (1, 1)


def test_a_debounce_is_refused_in_a_batch(manage: Manage, hello: str) -> None:
    finished = manage(
        "batch_trigger", hello, "--items", "-", "--debounce-key", "d", "--debounce-delay", "5s",
        stdin='{"n": 1}\n',
    )  # fmt: skip
    assert (finished.code, "cannot be in a batch" in finished.err) == (1, True), finished
