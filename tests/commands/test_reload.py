"""Which saved files are noticed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs_platform.management.reload import Reloader
from tests.waiting import wait_until


class Saves:
    def __init__(self) -> None:
        self.seen: set[str] = set()

    def __call__(self, suffixes: set[str], file: Path) -> None:
        self.seen.add(file.name)


@pytest.fixture
def saves(tmp_path: Path) -> Iterator[Saves]:
    """What is noticed of a project `p` with tasks in a folder `far` elsewhere."""
    for folder in ("p/app/deep", "p/.venv/lib", "p/tests", "p/app/__pycache__", "far/sub"):
        (tmp_path / folder).mkdir(parents=True)
    seen = Saves()
    reloader = Reloader(tmp_path / "p", [tmp_path / "far", tmp_path / "p/app"], on_save=seen)
    marker = tmp_path / "p/app/ready.py"

    def is_watching() -> bool:
        marker.write_text("")
        return marker.name in seen.seen

    wait_until(is_watching)
    top = tmp_path / "p/ready_too.py"
    wait_until(lambda: top.write_text("") == 0 and top.name in seen.seen)
    yield seen
    reloader.close()


def test_code_and_pages_are_noticed_and_nothing_else(saves: Saves, tmp_path: Path) -> None:
    for name in (
        "p/.venv/lib/library.py", "p/tests/test_it.py", "p/app/__pycache__/cached.py",
        "p/app/notes.txt", "p/app/.hidden.py", "p/app/module.pyc",
        "p/app/deep/module.py", "far/sub/task.py", "p/top.py", "p/app/page.html",
    ):  # fmt: skip
        (tmp_path / name).write_text("x")
        if name.endswith(("module.py", "task.py", "top.py", "page.html")):
            wait_until(lambda name=name: Path(name).name in saves.seen)
    saves.seen -= {"ready.py", "ready_too.py"}
    assert saves.seen == {"module.py", "task.py", "top.py", "page.html"}
