"""Every statement says what it is for; statuses are spelled in one place and written by one."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs_platform import sql
from jobs_platform.domain.lifecycle import MOVES, Status

PACKAGE = Path(sql.__file__).parents[1]
FILES = sorted(Path(sql.__file__).parent.glob("*.sql"))
LEDGER = {
    "trigger_one",
    "trigger_batch",
    "debounce",
    "reschedule",
    "queue_due",
    "expire_due",
    "finish_and_claim",
    "give_back",
    "cancel",
}
LIFECYCLE = PACKAGE / "domain" / "lifecycle.py"
by_name = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


def header(file: Path) -> str:
    lines = file.read_text().splitlines()
    count = next(n for n, line in enumerate(lines) if not line.startswith("--"))
    return "\n".join(lines[:count])


def body(file: Path) -> str:
    return "\n".join(
        line for line in file.read_text().splitlines() if not line.lstrip().startswith("--")
    )


def written_columns(text: str) -> Iterator[tuple[str, str]]:
    """(table, columns) of every INSERT and UPDATE."""
    for found in re.finditer(r"INSERT INTO (\w+)(?: AS \w+)?\s*\(([^)]*)\)", text):
        yield found[1], found[2]
    for found in re.finditer(
        r"UPDATE (\w+)(?: AS \w+)?\s+SET(.*?)(?:\bFROM\b|\bWHERE\b|$)", text, re.DOTALL
    ):
        yield found[1], found[2]


@by_name
def test_statement_begins_with_its_purpose(file: Path) -> None:
    first = header(file).splitlines()[0]
    assert re.match(r"-- [A-Z].{10,}", first)


@by_name
def test_statement_names_its_parameters(file: Path) -> None:
    wanted = set(re.findall(r"%\((\w+)\)s", body(file)))
    text = header(file)
    assert not {name for name in wanted if not re.search(rf"\b{name}\b", text)}


@by_name
def test_statement_that_locks_rows_says_which_and_by_which_index(file: Path) -> None:
    text = body(file)
    if re.search(r"\bUPDATE jobs_|\bDELETE FROM|FOR (NO KEY )?UPDATE", text):
        assert "Locks:" in header(file)
    if re.search(r"\b(UPDATE|FROM) jobs_(run|event|log_line|attempt)\b", text):
        assert "Index:" in header(file)


@by_name
def test_statement_has_no_comment_beside_its_code(file: Path) -> None:
    """Lines are joined before they are sent; a comment would swallow what follows."""
    if "CREATE OR REPLACE FUNCTION" in body(file):
        return  # a migration sends it as it is
    assert "--" not in re.sub(r"'[^']*'", "", body(file))


@by_name
def test_statement_spells_no_status(file: Path) -> None:
    assert not re.findall(rf"'({'|'.join(Status)})'", body(file))


@by_name
def test_only_statements_of_the_ledger_write_a_status(file: Path) -> None:
    writes = [
        table
        for table, columns in written_columns(body(file))
        if table == "jobs_run" and re.search(r"\bstatus\b", columns)
    ]
    assert bool(writes) == (file.stem in LEDGER)


@by_name
def test_update_of_a_status_guards_its_source_and_raises_the_version(file: Path) -> None:
    text = body(file)
    for update in re.finditer(r"UPDATE jobs_run AS run SET(.*?)RETURNING", text, re.DOTALL):
        if re.search(r"\bstatus = ", update[1]):
            assert "version = run.version + 1" in update[1]
            assert re.search(r"run\.status IN \(\$from_\w+\)", update[1])
            assert "INSERT INTO jobs_event" in text


def test_only_the_ledger_runs_statements_that_write_a_status() -> None:
    guilty = [
        f"{path.relative_to(PACKAGE)}: {node.value}"
        for path in PACKAGE.rglob("*.py")
        if path.name != "ledger.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("execute", "statement", "pipeline")
        for node in ast.walk(node)
        if isinstance(node, ast.Constant) and node.value in LEDGER
    ]
    assert not guilty


def test_no_statement_is_forgotten() -> None:
    code = "".join(path.read_text() for path in PACKAGE.rglob("*.py"))
    assert not [file.stem for file in FILES if f'"{file.stem}"' not in code]


def test_moves_of_events_are_moves_of_the_lifecycle() -> None:
    spelled = {
        found[1]
        for file in FILES
        for found in re.finditer(
            r"INSERT INTO jobs_event[^;]*?SELECT[^']*'(\w+)'", body(file), re.DOTALL
        )
    }
    assert spelled == {
        "trigger", "debounce", "reschedule", "queue", "expire", "claim", "cancel", "give_back"
    }  # fmt: skip
    assert spelled <= set(MOVES)


def test_statuses_are_spelled_in_the_lifecycle_alone() -> None:
    guilty = [
        f"{path.relative_to(PACKAGE)}:{node.lineno} {node.value}"
        for path in PACKAGE.rglob("*.py")
        if path != LIFECYCLE and "migrations" not in path.parts
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and node.value in set(Status)
    ]
    assert not guilty
