"""The README is true: its snippets run, its tables name what exists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import get_commands

from jobs_platform.domain.configuration import KNOWN_KEYS, Configuration
from jobs_platform.sdk.registry import registry
from tests.architecture.sources import PROJECT
from tests.docs import pages
from tests.executing import worker_in_process

README = "README.md"


@pytest.fixture
def forgetful_registry() -> Iterator[None]:
    """The tasks of the snippets are nobody else's."""
    yield
    registry.forget(str((PROJECT / README).resolve()))


def executed(source: str, names: dict[str, Any]) -> dict[str, Any]:
    exec(compile(source, str(PROJECT / README), "exec"), names)
    return names


def test_the_snippets_run_one_after_another(
    transactional_db: None,
    forgetful_registry: None,
) -> None:
    *snippets, settings = pages.blocks(README, "python")
    assert len(snippets) == 4
    assert settings.startswith("INSTALLED_APPS")
    names: dict[str, Any] = {}
    try:
        with worker_in_process() as worker, worker.in_background():
            for snippet in snippets:
                executed(snippet, names)
    finally:
        User.objects.filter(username="ada").delete()
    assert names["run"].is_success


def test_the_first_task_has_ten_lines_and_a_model() -> None:
    first = pages.blocks(README, "python")[0]
    assert sum(bool(line.strip()) for line in first.splitlines()) <= 10


def test_the_settings_are_accepted() -> None:
    snippet = pages.blocks(README, "python")[-1]
    names = executed(snippet, {"INSTALLED_APPS": ["django.contrib.admin"]})
    assert Configuration.from_mapping(names["JOBS"]).environment == "production"
    apps = names["INSTALLED_APPS"]
    assert apps.index("unfold") < apps.index("django.contrib.admin")
    assert (PROJECT / "dashboard" / "apps.py").is_file()  # jobs_platform.dashboard in the wheel


def test_the_table_of_settings_is_complete() -> None:
    assert pages.code_in_first_column(pages.section(README, "Settings")) == set(KNOWN_KEYS)


def test_the_defaults_in_the_table_are_those_of_the_code() -> None:
    rows = dict(
        re.findall(r"^\| `([A-Z_]+)` \| (.+?) \|", pages.section(README, "Settings"), re.MULTILINE)
    )
    known = Configuration()
    assert rows["LEASE_SECONDS"] == f"{known.lease_seconds:g}"
    assert rows["HEARTBEAT_SECONDS"] == f"{known.heartbeat_seconds:g}"
    assert rows["SHUTDOWN_TIMEOUT_SECONDS"] == f"{known.shutdown_timeout_seconds:g}"
    assert rows["CANCEL_GRACE_SECONDS"] == f"{known.cancel_grace_seconds:g}"
    assert rows["RETENTION_DAYS"] == f"{known.retention_days:g}"
    assert rows["LOG_LINES_PER_RUN"] == f"{known.log_lines_per_run:,}"
    assert rows["LOG_LEVEL"] == f'`"{known.log_level}"`'
    assert rows["ENVIRONMENT"] == f'`"{known.environment}"`'
    assert rows["RETRIES_ENABLED_IN_DEV"] == f"`{known.retries_enabled_in_dev}`"
    retries = known.retries
    assert rows["RETRIES"].startswith(
        f"{retries.max_attempts} attempts, factor {retries.factor:g},"
        f" {retries.min_timeout_seconds:g} s to {retries.max_timeout_seconds:g} s"
    )


def test_the_table_of_commands_is_complete() -> None:
    named = pages.code_in_first_column(pages.section(README, "Commands")) - {"manage.py"}
    folder = PROJECT / "jobs_platform" / "management" / "commands"
    ours = {file.stem for file in folder.glob("[!_]*.py")}
    assert {name.split()[0] for name in named} == ours


@pytest.mark.parametrize("name", pages.NAMES)
def test_commands_and_targets_that_are_named_exist(name: str) -> None:
    text = pages.text(name)
    commands = set(re.findall(r"manage\.py ([a-z_]+)", text))
    targets = set(re.findall(r"^    make ([a-z]+)|`make ([a-z]+)", text, re.MULTILINE))
    makefile = (PROJECT / "Makefile").read_text("utf-8")
    assert commands <= set(get_commands())
    missing = {t for pair in targets for t in pair if t and f"\n{t}:" not in makefile}
    assert not missing


@pytest.mark.parametrize("name", pages.NAMES)
def test_links_lead_somewhere(name: str) -> None:
    text = pages.text(name)
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if target.startswith("https://"):
            continue
        file, _, anchor = target.partition("#")
        linked = pages.text(file) if file.endswith(".md") else None if file else text
        assert not file or (PROJECT / file).exists(), target
        if anchor:
            assert anchor in anchors(linked or ""), target


def test_figures_say_how_they_were_measured() -> None:
    section = pages.section(README, "Speed")
    assert "make bench" in section
    assert "python -m benchmarks" in section


def test_the_licence_is_the_one_that_is_named() -> None:
    licence = Path(PROJECT / "LICENSE").read_text("utf-8")
    assert "Apache License" in licence
    assert "Apache License 2.0" in pages.text(README)


def anchors(text: str) -> set[str]:
    """Of headings, as they are made where Markdown is shown."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
