"""`manage.py dev` and `demo` as a person starts, uses, kills and restarts them."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import psutil
import pytest

from tests.conftest import make_data_dir
from tests.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PROJECT = Path(__file__).parents[2]
MARK = "JOBS_TEST_MARK"
STOP_SECONDS = 30.0
CODE = "from jobs_platform import task\n@task\ndef {name}(payload=None): return {value}\n"
GIVEN = ("DATABASE_URL", "REDIS_URL", "JOBS_DATA_DIR", "JOBS_DIRS", "JOBS_BASE_URL")


class Place:
    """A data folder, and every process that was started for it."""

    def __init__(self) -> None:
        self.data_dir = make_data_dir()
        self.tasks = self.data_dir / "more_tasks"
        self.tasks.mkdir()
        (self.tasks / "echo.py").write_text(CODE.format(name="echo", value="payload"))
        self.mark = uuid4().hex
        self._processes: list[subprocess.Popen[str]] = []

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        folder = ("--data-dir", str(self.data_dir))
        process = subprocess.Popen(
            [sys.executable, "manage.py", *arguments, *folder],
            cwd=PROJECT,
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._processes.append(process)
        return process

    def start_dev(self, *arguments: str) -> tuple[subprocess.Popen[str], dict[str, Any]]:
        """A `dev` and its ready line."""
        process = self.start("dev", "--json", "--tasks", str(self.tasks), *arguments)
        assert process.stdout is not None
        return process, json.loads(process.stdout.readline())

    def manage(self, *arguments: str) -> Any:
        """What another command says in JSON; its environment names the data folder only."""
        finished = subprocess.run(
            [sys.executable, "manage.py", *arguments, "--json"],
            cwd=PROJECT,
            env={**self._environment(), "JOBS_DATA_DIR": str(self.data_dir)},
            capture_output=True,
            text=True,
            check=False,
        )
        return json.loads(finished.stdout)

    def left(self) -> list[str]:
        """Processes that still run: those with our mark, and servers in our folder."""
        found = []
        for process in psutil.process_iter():
            try:
                is_ours = process.environ().get(MARK) == self.mark
                is_ours = is_ours or process.cwd().startswith(str(self.data_dir))
                if is_ours and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(" ".join(process.cmdline()))
            except psutil.Error:
                continue
        return found

    def remove(self) -> None:
        for process in self._processes:
            process.terminate()
            process.communicate(timeout=STOP_SECONDS)
        wait_until(lambda: not self.left(), timeout=STOP_SECONDS)
        shutil.rmtree(self.data_dir)

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name not in GIVEN}
        return kept | {MARK: self.mark}


@pytest.fixture
def place() -> Iterator[Place]:
    made = Place()
    yield made
    made.remove()


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Place, dict[str, Any]]]:
    """One `dev` for all tests that do not stop it, and its ready line."""
    made = Place()
    try:
        _, ready = made.start_dev()
        yield made, ready
    finally:
        made.remove()


Running = tuple[Place, dict[str, Any]]


def _get(url: str, *, cookie: str = "") -> http.client.HTTPResponse:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=20)
    connection.request("GET", f"{parts.path}?{parts.query}", headers={"Cookie": cookie})
    response = connection.getresponse()
    response.read()
    connection.close()
    return response


def test_the_ready_line_has_what_is_needed_to_begin(running: Running) -> None:
    _, ready = running
    assert set(ready) == {"url", "database_url", "redis_url", "login_url"}
    assert ready["database_url"].startswith("postgresql://")
    assert ready["redis_url"].startswith("redis://")
    logged_in = _get(ready["login_url"])
    assert logged_in.status == 302
    cookies = (value.partition(";")[0] for value in logged_in.headers.get_all("Set-Cookie", []))
    assert _get(f"{ready['url']}admin/", cookie="; ".join(cookies)).status == 200


def test_commands_in_other_terminals_find_everything(running: Running) -> None:
    place, ready = running
    run = place.manage("trigger", "echo", "--payload", "[7]", "--wait")
    assert (run["output"], run["url"].startswith(ready["url"])) == ([7], True)
    assert place.manage("doctor")["is_healthy"]


def test_a_saved_task_is_there_at_once(running: Running) -> None:
    place, _ = running

    def output(name: str) -> Any:
        return place.manage("trigger", name, "--wait", "--timeout", "20s").get("output")

    (place.tasks / "fresh.py").write_text(CODE.format(name="fresh", value=1))
    wait_until(lambda: output("fresh") == 1, timeout=40)
    (place.tasks / "fresh.py").write_text(CODE.format(name="fresh", value=22))
    wait_until(lambda: output("fresh") == 22, timeout=40)


def test_what_is_taken_already_is_one_error(running: Running) -> None:
    place, ready = running
    port = str(urlsplit(ready["url"]).port)
    taken = place.start("dev", "--json", "--port", port)
    error = json.loads(taken.communicate()[0])["error"]
    assert (taken.returncode, error["code"]) == (1, "port_in_use")
    second = place.start("dev", "--json")
    error = json.loads(second.communicate()[0])["error"]
    assert (second.returncode, error["code"]) == (1, "already_running")


def test_a_killed_dev_leaves_nobody_and_the_next_one_goes_on(place: Place) -> None:
    killed, _ = place.start_dev("--no-reload")
    run_id = place.manage("trigger", "echo", "--wait")["id"]
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    wait_until(lambda: not place.left(), timeout=STOP_SECONDS, message=lambda: str(place.left()))
    stopped, again = place.start_dev("--no-reload")
    assert again["login_url"]
    assert place.manage("runs", "show", run_id)["run"]["status"] == "COMPLETED"
    stopped.send_signal(signal.SIGTERM)
    assert stopped.wait(STOP_SECONDS) == 0
    assert not place.left()


def test_the_demo_runs_once_and_ends(place: Place) -> None:
    demo = place.start("demo", "--once", "--json")
    said = json.loads(demo.communicate(timeout=100)[0])
    assert demo.returncode == 0
    assert (said["run"]["status"], said["run"]["task_id"]) == ("COMPLETED", "import-csv")
    assert said["run"]["output"]["rows_read"] > 20_000
    assert not place.left()
