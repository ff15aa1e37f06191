"""The documents at the root of the repository, and what is to be found in them."""

from __future__ import annotations

import re

from tests.architecture.sources import PROJECT

NAMES = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ROW = re.compile(r"^\| (.+?) \|", re.MULTILINE)


def text(name: str) -> str:
    return (PROJECT / name).read_text("utf-8")


def blocks(name: str, language: str) -> list[str]:
    """The fenced blocks of a language, in their order."""
    return [body for found, body in _BLOCK.findall(text(name)) if found == language]


def section(name: str, heading: str) -> str:
    """What stands below a heading of the second level."""
    _, _, behind = text(name).partition(f"\n## {heading}\n")
    assert behind, f"{name} has no section {heading!r}"
    return behind.partition("\n## ")[0]


def code_in_first_column(body: str) -> set[str]:
    """Everything in backticks in the first column of a table."""
    cells = _ROW.findall(body)
    return {code for cell in cells for code in re.findall(r"`([^`]+)`", cell)}
