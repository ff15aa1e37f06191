"""Children that crash, are replaced, do not want to stop, or lose their owner."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs_platform.management import supervisor as supervisor_module
from jobs_platform.management.child import Program
from jobs_platform.management.supervisor import Supervisor
from tests.waiting import wait_until

STUBBORN = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up'); time.sleep(60)"
PATIENT = "import time; print('up'); time.sleep(60)"
BRIEF = "print('up'); raise SystemExit(3)"


class Lines:
    """What children have written."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    def write(self, name: str, line: str) -> None:
        self.seen.append((name, line))

    def count(self, line: str) -> int:
        return sum(text == line for _, text in self.seen)


@pytest.fixture
def lines() -> Lines:
    return Lines()


@pytest.fixture(autouse=True)
def _short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor_module, "STOP_SECONDS", 0.2)
    monkeypatch.setattr(supervisor_module, "FIRST_PAUSE_SECONDS", 0.01)


def _program(script: str, name: str = "child") -> Program:
    return Program(name, (sys.executable, "-Sc", script))


def _run(lines: Lines, script: str, story: Callable[[Supervisor], None]) -> Supervisor:
    supervisor = Supervisor([_program(script)], write=lines.write, restart_patience_seconds=0.2)

    def told() -> None:
        story(supervisor)
        supervisor.stop()

    supervisor.run(told)
    return supervisor


def test_a_child_that_crashes_starts_again(lines: Lines) -> None:
    supervisor = _run(lines, BRIEF, lambda _: wait_until(lambda: lines.count("up") >= 3) and None)
    assert supervisor.crashes()["child"] >= 2
    assert ("child", "ended with exit code 3; again in 0.01 s") in lines.seen


def test_a_child_is_replaced_on_request(lines: Lines) -> None:
    def story(supervisor: Supervisor) -> None:
        wait_until(lambda: lines.count("up") == 1)
        supervisor.restart(["child", "nobody"])
        wait_until(lambda: lines.count("up") == 2)

    assert _run(lines, PATIENT, story).crashes() == {"child": 0}


def test_a_child_that_does_not_stop_is_killed(lines: Lines) -> None:
    def story(supervisor: Supervisor) -> None:
        wait_until(lambda: lines.count("up") == 1)
        supervisor.restart(["child"])
        wait_until(lambda: lines.count("up") == 2)

    _run(lines, STUBBORN, story)


def test_what_a_child_has_started_ends_with_it(lines: Lines) -> None:
    script = (
        "import os, subprocess, sys, time; "
        f"child = subprocess.Popen([sys.executable, '-Sc', {STUBBORN!r}]); "
        "print('pid', child.pid); time.sleep(60)"
    )
    _run(lines, script, lambda _: wait_until(lambda: lines.count("up") == 1) and None)
    (pid,) = (int(text.split()[1]) for _, text in lines.seen if text.startswith("pid "))
    wait_until(lambda: not _exists(pid))


def test_what_the_story_raises_ends_everything(lines: Lines) -> None:
    def story(_: Supervisor) -> None:
        wait_until(lambda: lines.count("up") == 1)
        raise LookupError("the end")

    with pytest.raises(LookupError, match="the end"):
        _run(lines, PATIENT, story)


def test_a_signal_stops_everything(lines: Lines) -> None:
    former = signal.getsignal(signal.SIGTERM)
    supervisor = Supervisor([_program(PATIENT)], write=lines.write)

    def story() -> None:
        wait_until(lambda: lines.count("up") == 1)
        os.kill(os.getpid(), signal.SIGTERM)

    supervisor.run(story)
    assert signal.getsignal(signal.SIGTERM) is former


def test_a_killed_owner_leaves_nobody_behind() -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True)
    with owner, owner.stdout as said:  # type: ignore[union-attr]
        pids = [int(said.readline()) for _ in range(2)]
        owner.kill()
    wait_until(lambda: not any(map(_exists, pids)), timeout=20)


OWNER = """
import sys
from jobs_platform.management import guard, supervisor
from jobs_platform.management.child import Program
supervisor.ORPHAN_SECONDS = guard._FOLLOWERS_SECONDS = 0.2
deaf = "import os, signal, time; signal.signal(15, signal.SIG_IGN); print(os.getpid()); "
deaf += "time.sleep(60)"
python = (sys.executable, "-Suc")
far = f"import subprocess, time; subprocess.Popen({[*python, deaf]}, start_new_session=True)"
programs = [
    Program("near", (*python, deaf)),
    Program("far", (*python, far + "; time.sleep(60)")),
]
supervisor.Supervisor(programs, write=lambda _, line: print(line, flush=True)).run()
"""


def _exists(pid: int) -> bool:
    """Whether it runs; a zombie of a machine without an init does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text("ascii")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state.rpartition(")")[2].split()[0] != "Z"
