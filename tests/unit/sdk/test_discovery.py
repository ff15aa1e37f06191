"""Finding task modules, and going on when some of them do not import."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobs_platform.domain.configuration import Configuration
from jobs_platform.domain.errors import (
    DuplicateTaskError,
    TaskFolderError,
    TaskImportError,
    UnknownTaskError,
)
from jobs_platform.sdk import ports
from jobs_platform.sdk.discovery import Report, discover
from jobs_platform.sdk.registry import registry
from tests.unit.fakes import RecordingEngine

TASK = "from jobs_platform import task\n\n@task\ndef {name}():\n    pass\n"


@pytest.fixture
def project(fresh_process: Path) -> Iterator[Path]:
    """The folder of a project; what it imports is forgotten afterwards."""
    before = set(sys.modules)
    yield fresh_process
    for name in set(sys.modules) - before:
        del sys.modules[name]


def _write(project: Path, files: dict[str, str]) -> None:
    for name, source in files.items():
        file = project / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(source)


def _discover(project: Path, **settings: Any) -> Report:
    configuration = Configuration(**{"base_dir": str(project), "dirs": ("work",), **settings})
    return discover(configuration, forget=registry.forget)


def _found() -> list[str]:
    return [known.id for known in registry]


def test_all_modules_below_a_folder_are_imported(project: Path) -> None:
    _write(project, {"work/one.py": TASK.format(name="one"), "work/deep/two.py": "x = 1\n"})
    report = _discover(project)
    assert report == Report(("work.one", "work.deep.two"), ())
    assert _found() == ["one"]


def test_the_init_module_comes_first_and_the_others_by_name(project: Path) -> None:
    _write(project, {f"work/{name}.py": "" for name in ("zebra", "apple", "init", "__init__")})
    modules = _discover(project).modules
    assert modules == ("work.init", "work", "work.apple", "work.zebra")


def test_tests_hidden_folders_and_ignored_patterns_are_left_out(project: Path) -> None:
    left_out = (
        "test_one.py",
        "one_test.py",
        "conftest.py",
        "tests/helper.py",
        ".hidden/x.py",
        "draft_x.py",
        "old/x.py",
        "readme.txt",
    )
    _write(project, {f"work/{name}": "raise RuntimeError\n" for name in left_out})
    _write(project, {"work/good.py": ""})
    report = _discover(project, ignore_patterns=("draft_*", "old/*"))
    assert report == Report(("work.good",), ())


def test_a_dotted_package_is_searched_too(project: Path) -> None:
    _write(project, {"shop/__init__.py": "", "shop/jobs/mail.py": TASK.format(name="mail")})
    assert _discover(project, dirs=("shop.jobs",)).modules == ("shop.jobs.mail",)
    assert _found() == ["mail"]


def test_a_folder_outside_the_project_is_imported_with_its_siblings(
    project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("else-where")
    _write(
        outside,
        {"a.py": "from .b import VALUE\n" + TASK.format(name="far"), "b.py": "VALUE = 1\n"},
    )
    report = _discover(project, dirs=(str(outside),))
    assert report.errors == ()
    assert _found() == ["far"]


def test_a_folder_whose_name_another_package_has_is_imported_all_the_same(project: Path) -> None:
    _write(project, {"json/mine.py": TASK.format(name="mine")})
    report = _discover(project, dirs=("json",))
    assert report.errors == ()
    assert _found() == ["mine"]
    assert report.modules[0].startswith("jobs_tasks_")


BROKEN = [
    ("import no_such_module\n", 1, "ModuleNotFoundError: No module named 'no_such_module'"),
    ("x = 1\ny = (\n", 2, "SyntaxError"),
    ("\n\nraise SystemExit(3)\n", 3, "SystemExit: 3"),
    ("import json\n\njson.loads('{')\n", 3, "JSONDecodeError"),
    ("def f():\n    raise KeyError('k')\n\nf()\n", 2, "KeyError: 'k'"),
]


@pytest.mark.parametrize(("source", "line", "words"), BROKEN)
def test_a_module_that_does_not_import_is_reported_with_file_and_line(
    project: Path, source: str, line: int, words: str
) -> None:
    _write(project, {"work/bad.py": source, "work/good.py": TASK.format(name="good")})
    report = _discover(project)
    assert report.modules == ("work.good",)
    (error,) = report.errors
    assert isinstance(error, TaskImportError)
    assert (error.module, error.line) == ("work.bad", line)
    assert error.file == str(project / "work/bad.py")
    assert words in str(error)


def test_the_tasks_of_a_module_that_fails_half_way_are_not_registered(project: Path) -> None:
    _write(project, {"work/half.py": TASK.format(name="half") + "\n1 / 0\n"})
    assert len(_discover(project).errors) == 1
    assert _found() == []


def test_a_clash_of_ids_is_reported_as_such(project: Path) -> None:
    _write(project, {"work/a.py": TASK.format(name="same"), "work/b.py": TASK.format(name="same")})
    (error,) = _discover(project).errors
    assert isinstance(error, DuplicateTaskError)
    assert "a.py" in error.first_place
    assert "b.py" in error.second_place
    assert _found() == ["same"]


def test_a_folder_that_is_not_there_is_reported_unless_it_is_the_default(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.delitem(sys.modules, "tasks", raising=False)
    assert _discover(project, dirs=Configuration().dirs) == Report((), ())
    (error,) = _discover(project, dirs=("taks",)).errors
    assert isinstance(error, TaskFolderError)
    assert error.folder == str(project / "taks")


def test_an_unknown_id_is_looked_for_once(
    project: Path, engine: RecordingEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    configuration = Configuration(base_dir=str(project), dirs=("work",))
    monkeypatch.setattr(ports._platform, "configuration", configuration)
    _write(project, {"work/a.py": TASK.format(name="hidden"), "work/b.py": "import nothing_here\n"})
    assert registry.get("hidden") is None
    assert registry.find("hidden").id == "hidden"
    _write(project, {"work/c.py": TASK.format(name="later")})
    with pytest.raises(UnknownTaskError, match=r"Not importable: work\.b\.") as caught:
        registry.resolve("hiden")
    assert caught.value.close == ("hidden",)
    with pytest.raises(UnknownTaskError):
        registry.find("later")
