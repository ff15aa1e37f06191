"""Each line of the Procfile starts and serves, and so do Celery's own commands."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from tests.e2e.audit import assert_sound, wait_until_final
from tests.e2e.fleet import PROJECT, START_SECONDS, Fleet, answers, free_port
from tests.waiting import wait_until

LINES = dict(
    line.split(": ", 1) for line in (PROJECT / "Procfile").read_text("utf-8").splitlines() if line
)
CELERY = "celery -A jobs_platform"


def command(line: str, **variables: object) -> list[str]:
    """A line as its shell runs it, by this interpreter."""
    for name, value in variables.items():
        line = line.replace(f"${{{name}:-8000}}", str(value))
    program, *arguments = shlex.split(line)
    if program == "python":
        return [sys.executable, *arguments]
    return [sys.executable, "-m", program, *arguments]


def test_the_procfile_has_the_four_lines() -> None:
    assert list(LINES) == ["release", "web", "worker", "beat"]
    assert Path(PROJECT / "manage.py").exists()


def test_the_release_line_migrates_and_may_run_again(fleet: Fleet) -> None:
    assert fleet.start("release", command(LINES["release"])).wait(seconds=60) == 0


def test_the_web_line_serves_at_the_given_port(fleet: Fleet) -> None:
    port = free_port()
    web = fleet.start("web", command(LINES["web"], PORT=port))
    wait_until(lambda: answers(port), START_SECONDS, "the web process")
    web.stop()
    wait_until(lambda: not fleet.marked(), 5, "the end of all processes")


@pytest.mark.parametrize(
    ("worker", "beat"),
    [
        (LINES["worker"], LINES["beat"]),
        (f"{CELERY} worker --concurrency 2", f"{CELERY} beat --loglevel INFO"),
    ],
)
def test_these_lines_execute_runs_and_stop_when_asked(fleet: Fleet, worker: str, beat: str) -> None:
    processes = [fleet.start("worker", command(worker)), fleet.start("beat", command(beat))]
    fleet.registered(*processes)
    runs = fleet.trigger_many("hooked", [{}] * 20)
    wait_until_final(fleet, runs, seconds=30)
    assert_sound(fleet, runs)
    assert [process.stop() for process in processes] == [0, 0]
    wait_until(lambda: not fleet.marked(), 5, "the end of all processes")
    assert fleet.value("SELECT count(*) FROM jobs_worker WHERE stopped_at IS NULL") == 0
    for process in processes:
        assert "Traceback" not in process.said()
