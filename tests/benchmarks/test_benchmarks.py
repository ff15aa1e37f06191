"""The benchmarks work: tiny numbers, ourselves alone. No figure is tested, for none would hold."""

from __future__ import annotations

import io
import json
import os
from collections import Counter
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks import __main__ as command
from benchmarks import meter, report
from benchmarks.arena import Arena
from benchmarks.contenders import ALL, CELERY, OURS
from benchmarks.findings import Section, Verdict
from benchmarks.measurements import idle, latency, neighbours
from benchmarks.plan import Plan, Size
from jobs_platform.embedded.stack import Stack


def _plan(arena: Arena, *, repetitions: int = 1) -> Plan:
    return Plan(arena, "tiny", repetitions, ALL, lambda text: None)


@pytest.fixture
def arena(stack: Stack, tmp_path: Path) -> Arena:
    return Arena(stack, tmp_path)


@pytest.fixture
def section() -> Section:
    section = Section("Speed")
    section.add("ours", [300.0, 100.0, 200.0], "jobs/s")
    section.add("theirs", [50.0], "jobs/s", note="slow")
    section.add("cost", [7.0], "µs")
    section.compare("theirs")
    return section


def test_tiny_drain_is_measured_and_reported(
    arena: Arena, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "report.json"
    arguments = ["drain", "--tiny", "--only", OURS.name, "--json", str(file)]
    assert command.main(arguments, arena=lambda: nullcontext(arena)) == 0
    found = json.loads(file.read_text())
    drained = found["measurements"]["drain"]
    assert [row["subject"] for row in drained["rows"]] == [OURS.title, "last fifth"]
    assert drained["rows"][0]["median"] > 0
    assert found["machine"]["cores"] == os.cpu_count()
    said = capsys.readouterr().out
    for peer in ALL:
        assert peer is OURS or f"{peer.title} was left out." in said
    assert "Not judged, a figure is missing: at least 8 times Celery" in said


def test_everything_the_issue_names_can_be_measured() -> None:
    names = "drain held_open history flow keys single batch latency idle neighbours"
    assert list(command.MEASUREMENTS) == names.split()


def test_median_and_ratio_of_the_same_unit_only(section: Section) -> None:
    assert [row.value for row in section.rows] == [200.0, 50.0, 7.0]
    assert [row.ratio for row in section.rows] == [4.0, 1.0, None]


@pytest.mark.parametrize(
    ("verdict", "is_met"),
    [
        (Verdict("at least 8", 8.0, at_least=8), True),
        (Verdict("at least 8", 7.9, at_least=8), False),
        (Verdict("at most 2", 2.0, at_most=2), True),
        (Verdict("at most 2", 2.1, at_most=2), False),
    ],
)
def test_target_is_met_or_missed(verdict: Verdict, is_met: bool) -> None:
    assert verdict.is_met is is_met


def test_missing_figure_is_said_to_be_missing(section: Section) -> None:
    section.judge("4 times theirs", "ours", "theirs", at_least=4)
    section.judge("faster than nobody", "ours", "nobody", at_least=1)
    section.hold("cheap", None, at_most=1)
    assert [verdict.found for verdict in section.verdicts] == [4.0]
    assert section.notes == [
        "Not judged, a figure is missing: faster than nobody",
        "Not judged, a figure is missing: cheap",
    ]


def test_report_says_met_and_missed(section: Section) -> None:
    section.judge("4 times theirs", "ours", "theirs", at_least=4)
    section.judge("5 times theirs", "ours", "theirs", at_least=5)
    console = Console(file=io.StringIO(), width=100)
    report.show(console, section)
    report.show_verdicts(console, {"speed": section}, seconds=90)
    assert isinstance(console.file, io.StringIO)
    said = console.file.getvalue()
    assert "met    4 times theirs: 4.00" in said
    assert "missed 5 times theirs: 4.00" in said
    assert "100 … 300" in said
    assert "1 of 2 targets met, 1.5 minutes." in said


def test_contenders_take_turns_and_the_missing_are_named(arena: Arena) -> None:
    missing = replace(CELERY, title="Nobody's", requires="no_such_package_as_this")
    section = Section("Speed")
    plan = replace(_plan(arena, repetitions=2), contenders=(OURS, missing))
    turns = list(plan.rounds([OURS, missing, CELERY], section))
    assert turns == [OURS, OURS]
    assert section.notes == [
        "Nobody's is not installed: `make bench` does that.",
        "Celery was left out.",
    ]


def test_scale_chooses_the_size(arena: Arena) -> None:
    size = Size(300_000, 60_000, 200)
    scales = [replace(_plan(arena), scale=scale) for scale in ("full", "quick", "tiny")]
    assert [plan.number(size) for plan in scales] == [300_000, 60_000, 200]


def test_meter_notes_every_start_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(meter.FOLDER_VARIABLE, str(tmp_path))
    monkeypatch.setattr(meter._Mine, "page", None)
    reader = meter.Meter(tmp_path)
    assert (reader.count, reader.starts()) == (0, [])
    for number in (7, 3):
        meter.tick(number)
    assert reader.count == 2
    assert [start.number for start in reader.starts()] == [7, 3]


def test_percentiles_are_of_the_slow_end() -> None:
    ascending = [float(number) for number in range(100)]
    assert latency._percentile(ascending, 50) == 50.0
    assert latency._percentile(ascending, 99) == 99.0
    assert latency._percentile([1.0], 99) == 1.0


def test_overtaken_is_who_starts_after_later_ones() -> None:
    assert neighbours._longest_overtaken({0: 1.0, 1: 1.1, 2: 1.2}) == 0.0
    assert neighbours._longest_overtaken({0: 1.0, 1: 4.0, 2: 1.5, 3: 2.0}) == 2.5


def test_statements_are_counted_by_backend(tmp_path: Path) -> None:
    log = tmp_path / "postgres.log"
    log.write_text(
        "2026-01-01 00:00:00 UTC [1] LOG:  statement: SELECT before\n"
        "2026-01-01 00:00:00 UTC [2] LOG:  execute <unnamed>: SELECT 1\n"
        "\tFROM somewhere\n"
        "2026-01-01 00:00:01 UTC [2] LOG:  statement: BEGIN\n"
        "2026-01-01 00:00:01 UTC [2] LOG:  execute _pg3_0: UPDATE it\n"
        "2026-01-01 00:00:01 UTC [3] LOG:  statement: SELECT 2\n"
        "2026-01-01 00:00:01 UTC [3] WARNING:  something else\n"
    )
    position = len(log.read_text().splitlines(keepends=True)[0])
    assert idle._counted(log, position) == Counter({2: 2, 3: 1})
