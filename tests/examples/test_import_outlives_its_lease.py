"""A long import in a real worker: the lease is renewed beside it, so nobody takes it away."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs_platform import Run, runs
from jobs_platform.engine import caller
from jobs_platform.engine.line import Line
from jobs_platform.engine.recover import recover_lost_workers
from jobs_platform.models import Worker
from tasks.examples.import_csv import import_csv
from tests.architecture.sources import PROJECT
from tests.examples.short_lease import JOBS
from tests.waiting import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def worker_process(
    transactional_db: None, process_environment: dict[str, str], tmp_path: Path
) -> Iterator[None]:
    settings = {"DJANGO_SETTINGS_MODULE": "tests.examples.short_lease"}
    environment = {**os.environ, **process_environment, **settings}
    log = (tmp_path / "worker.log").open("w+")
    process = subprocess.Popen(
        [sys.executable, "manage.py", "worker", "--concurrency", "1"],
        cwd=PROJECT,
        env=environment,
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    try:
        live = Worker.objects.filter(stopped_at__isnull=True)
        wait_until(live.exists, 60, lambda: Path(log.name).read_text())
        yield
        process.terminate()
        process.wait(30)
        wait_until(lambda: not live.exists(), 30, "the keeper to end")
    finally:
        process.kill()
        process.wait()
        log.close()


def test_a_long_import_keeps_its_worker(worker_process: None, tmp_path: Path) -> None:
    path = tmp_path / "slow.csv"
    path.write_text("id\n" + "".join(f"{number}\n" for number in range(14)))
    payload = {"path": str(path), "key": "id", "batch_size": 1, "pause_seconds": 0.5}
    handle = import_csv.trigger(payload)

    with Line(caller.conninfo(), application_name="jobs test") as line:

        def sweep() -> Run | None:
            """What a beat does, all the time."""
            assert not recover_lost_workers(line).claims
            run = runs.retrieve(handle)
            return run if run.is_completed else None

        run = wait_until(sweep, 60, "the import to end")
    assert run is not None
    assert run.is_success, run.error
    assert run.attempt_number == 1
    assert run.output["seconds"] > 2 * JOBS["LEASE_SECONDS"]
