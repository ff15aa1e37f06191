"""The house rules that every file keeps: size, names, and nothing of anybody's machine."""

from __future__ import annotations

import ast
import re
import tomllib

import pytest

from tests.architecture.sources import PRODUCT, PROJECT, files, text, tree

CODE = (".py", ".sql", ".js", ".css", ".html", ".sh")
LINES, LINES_OF_TESTS, LINES_OF_A_FUNCTION = 400, 600, 50
FORBIDDEN_NAMES = re.compile(r"^(utils?|helpers?|commons?|managers?|services?)$")
# Put together here, so that this file does not contain what it looks for.
ADDRESSES = [
    "py" + "pi.org",
    "python" + "hosted.org",
    "debian" + ".org",
    "npm" + "js.org",
    "npm" + "js.com",
]
MACHINE_PATHS = [
    rf"(?<![\w.]){path}\b"
    for path in ("/wo" + "rk/", "/ro" + "ot/", "/ho" + "me/", r"/tmp/" + "v/")
]
OF_A_MACHINE = re.compile("|".join([*map(re.escape, ADDRESSES), *MACHINE_PATHS]))


def test_no_file_is_too_long() -> None:
    lengths = {path: text(path).count("\n") for path in files(suffixes=CODE)}
    lengths = {path: n for path, n in lengths.items() if "migrations" not in path.parts}
    limits = {path: LINES_OF_TESTS if path.parts[0] == "tests" else LINES for path in lengths}
    assert lengths
    assert not {str(path): lines for path, lines in lengths.items() if lines > limits[path]}


def test_no_function_is_too_long() -> None:
    guilty = [
        f"{path}:{node.lineno} {node.name}"
        for path in files(*PRODUCT, "tasks", "benchmarks", suffixes=(".py",))
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno >= LINES_OF_A_FUNCTION
    ]
    assert not guilty


def test_every_name_says_what_is_inside() -> None:
    guilty = [
        str(path)
        for path in files()
        for part in (*path.parts[:-1], path.stem)
        if FORBIDDEN_NAMES.match(part)
    ]
    assert not guilty


def test_every_module_says_what_it_owns() -> None:
    guilty = [
        str(path)
        for path in files(*PRODUCT, "tests", suffixes=(".py",))
        if "migrations" not in path.parts
        and text(path).strip()
        and not ast.get_docstring(tree(path))
    ]
    assert not guilty


def test_only_waiting_sleeps_in_tests() -> None:
    guilty = [
        f"{path}:{node.lineno}"
        for path in files("tests", suffixes=(".py",))
        # Tasks that tests run may take their time; the tests themselves wait for conditions.
        if path.name != "waiting.py" and path.parent.name != "task_folder"
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("time.sleep", "sleep")
    ]
    assert not guilty


def test_no_file_knows_a_registry_or_a_machine() -> None:
    guilty = [
        f"{path}:{number} {found.group()}"
        for path in files()
        for number, line in enumerate(text(path).splitlines(), 1)
        if (found := OF_A_MACHINE.search(line))
    ]
    assert not guilty


@pytest.mark.parametrize("line", ["cd /wo" + "rk/main", "index https://py" + "pi.org/simple"])
def test_a_machine_is_recognised(line: str) -> None:
    assert OF_A_MACHINE.search(line)


def test_the_lock_has_hashes_and_no_addresses() -> None:
    lines = text(PROJECT / "requirements.lock").splitlines()
    pins = [line for line in lines if "==" in line]
    assert pins
    assert all(line.endswith(" \\") for line in pins)
    for line in filter(None, lines):
        assert re.match(r"(#|    --hash=sha256:[0-9a-f]{64}( \\)?$|[\w.-]+==\S+.* \\$)", line), line
        assert "://" not in line


def test_the_lock_pins_what_the_project_asks_for() -> None:
    project = tomllib.loads(text(PROJECT / "pyproject.toml"))["project"]
    extras = project["optional-dependencies"]
    asked = [*project["dependencies"], *extras["embedded"], *extras["demo"], *extras["dev"]]
    pinned = {
        _name(line) for line in text(PROJECT / "requirements.lock").splitlines() if "==" in line
    }
    assert not {_name(line) for line in asked} - pinned
    assert not {_name(line) for line in extras["bench"]} & pinned


def _name(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[\[=<>~!; ]", requirement)[0]).lower()
