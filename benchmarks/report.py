"""Findings as tables for people and as JSON for programs."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.findings import Row, Section, Verdict


def show(console: Console, section: Section) -> None:
    """One measurement: its figures, its targets, what was left out."""
    table = Table(title=section.title, title_justify="left", title_style="bold")
    table.add_column("", no_wrap=True)
    for name in ("median", "from … to", "ratio"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("")
    for row in section.rows:
        spread = f"{_number(min(row.samples))} … {_number(max(row.samples))}"
        if len(row.samples) == 1:
            spread = ""
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        table.add_row(row.subject, f"{_number(row.value)} {row.unit}", spread, ratio, row.note)
    console.print(table)
    for verdict in section.verdicts:
        console.print(_said(verdict), highlight=False)
    for note in dict.fromkeys(section.notes):
        console.print(f"  {note}", style="dim", highlight=False)


def show_verdicts(console: Console, sections: Mapping[str, Section], *, seconds: float) -> None:
    """All targets at the end, together."""
    verdicts = [verdict for section in sections.values() for verdict in section.verdicts]
    missed = [verdict for verdict in verdicts if not verdict.is_met]
    console.print()
    for name, section in sections.items():
        for verdict in section.verdicts:
            console.print(f"[dim]{name:>10}[/] {_said(verdict)}", highlight=False)
    console.print(
        f"{len(verdicts) - len(missed)} of {len(verdicts)} targets met, {seconds / 60:.1f} minutes."
    )


def write(path: Path, sections: Mapping[str, Section], *, scale: str) -> None:
    """Everything, with the machine that it was measured on: only ratios travel."""
    machine = {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "load": os.getloadavg()[0],
    }
    found = {name: _section(section) for name, section in sections.items()}
    text = json.dumps({"scale": scale, "machine": machine, "measurements": found}, indent=2)
    path.write_text(text + "\n", "utf-8")


def _section(section: Section) -> dict[str, Any]:
    return {
        "title": section.title,
        "rows": [_row(row) for row in section.rows],
        "verdicts": [
            {
                "target": verdict.target,
                "found": verdict.found,
                "at_least": verdict.at_least,
                "at_most": verdict.at_most,
                "is_met": verdict.is_met,
            }
            for verdict in section.verdicts
        ],
        "notes": list(dict.fromkeys(section.notes)),
    }


def _row(row: Row) -> dict[str, Any]:
    return {
        "subject": row.subject,
        "median": row.value,
        "samples": list(row.samples),
        "unit": row.unit,
        "ratio": row.ratio,
        "note": row.note,
    }


def _said(verdict: Verdict) -> str:
    word = "[green]met   [/]" if verdict.is_met else "[red]missed[/]"
    return f"  {word} {verdict.target}: {verdict.found:.2f}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
