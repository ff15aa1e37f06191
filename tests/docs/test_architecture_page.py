"""ARCHITECTURE.md and CONTRIBUTING.md say what the code says."""

from __future__ import annotations

import re
from typing import Any

from django.apps import apps

from jobs_platform.domain.lifecycle import mermaid
from jobs_platform.sql import statement
from tests.architecture.sources import PROJECT
from tests.docs import pages
from tests.executing import worker_in_process

PAGE = "ARCHITECTURE.md"


def test_the_diagram_is_the_one_of_the_code() -> None:
    assert pages.blocks(PAGE, "mermaid") == [mermaid()], f"Paste this:\n{mermaid()}"


def test_all_tables_are_explained() -> None:
    named = pages.code_in_first_column(pages.section(PAGE, "Tables and indexes"))
    ours = {model._meta.db_table for model in apps.get_app_config("jobs").get_models()}
    assert named == ours


def test_the_indexes_that_are_named_exist() -> None:
    indexes = {index.name for index in apps.get_model("jobs", "Run")._meta.indexes}
    named = set(re.findall(r"`(jobs_run_\w+)`", pages.text(PAGE)))
    assert named
    assert named <= indexes


def test_the_layout_shows_folders_that_exist_and_none_is_missing() -> None:
    section = pages.section(PAGE, "Layers and layout")
    shown = set(re.findall(r"^      (\w+)/ ", section, re.MULTILINE))
    package = PROJECT / "jobs_platform"
    folders = {path.name for path in package.iterdir() if any(path.glob("*.py"))}
    assert shown == folders - {"migrations"}


def test_files_and_names_that_are_mentioned_exist() -> None:
    for name in ("ARCHITECTURE.md", "CONTRIBUTING.md"):
        for path in re.findall(r"`([a-z_/]+/[a-z_]+\.(?:py|sql))`", pages.text(name)):
            places = (PROJECT / path, PROJECT / "jobs_platform" / path)
            assert any(place.is_file() for place in places), f"{name}: {path}"


def test_no_statement_is_too_long_for_psycopg() -> None:
    """CONTRIBUTING.md names the limit."""
    folder = PROJECT / "jobs_platform" / "sql"
    names = [file.stem for file in folder.glob("*.sql") if "CREATE " not in file.read_text("utf-8")]
    lengths = {name: len(statement(name)) for name in names}
    assert lengths
    assert not {name: length for name, length in lengths.items() if length > 4_096}


def test_the_test_of_contributing_passes(transactional_db: None) -> None:
    (source,) = pages.blocks("CONTRIBUTING.md", "python")
    names: dict[str, Any] = {}
    exec(compile(source, "CONTRIBUTING.md", "exec"), names)
    (test,) = (value for name, value in names.items() if name.startswith("test_"))
    with worker_in_process() as worker:
        test(worker)
