"""Data folders and owners for the tests of the embedded stack."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jobs_platform.embedded.address import StackAddress
from jobs_platform.embedded.stack import Stack

OWNER = Path(__file__).with_name("owner.py")
PROJECT = OWNER.parent.parent.parent

Owner = tuple[subprocess.Popen[str], StackAddress]


@pytest.fixture
def data_dir(new_data_dir: Callable[[], Path]) -> Iterator[Path]:
    folder = new_data_dir()
    yield folder
    Stack(folder).destroy()


@pytest.fixture
def start_owner() -> Iterator[Callable[[Path], Owner]]:
    """Starts owner.py on a folder and returns the process and the address that it printed."""
    owners: list[subprocess.Popen[str]] = []

    def start(folder: Path) -> Owner:
        owner = subprocess.Popen(
            [sys.executable, str(OWNER), str(folder)],
            cwd=PROJECT,
            env={**os.environ, "PYTHONPATH": str(PROJECT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        owners.append(owner)
        assert owner.stdout is not None
        return owner, StackAddress(**json.loads(owner.stdout.readline()))

    yield start
    for owner in owners:
        owner.communicate()
