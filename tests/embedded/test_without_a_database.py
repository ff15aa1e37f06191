"""The project's commands while no stack runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.embedded.conftest import PROJECT


def manage(*arguments: str, data_dir: Path) -> subprocess.CompletedProcess[str]:
    given = ("DATABASE_URL", "REDIS_URL")
    inherited = {name: value for name, value in os.environ.items() if name not in given}
    return subprocess.run(
        [sys.executable, "-W", "ignore", "manage.py", *arguments],
        cwd=PROJECT,
        env={**inherited, "JOBS_DATA_DIR": str(data_dir)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_checks_need_no_database(data_dir: Path) -> None:
    assert manage("check", data_dir=data_dir).returncode == 0


def test_the_first_use_says_how_to_get_one(data_dir: Path) -> None:
    finished = manage("showmigrations", data_dir=data_dir)
    assert finished.returncode != 0
    last = finished.stderr.strip().splitlines()[-1]
    assert last.endswith("start one with `python manage.py dev`, or set DATABASE_URL.")
