"""The project's files and their syntax trees, for the tests of the architecture."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
PRODUCT = ("jobs_platform", "realtime", "dashboard")
# Made by tools, or the user's own; see .gitignore.
PASSED_OVER = {
    ".git",
    ".hypothesis",
    ".import_linter_cache",
    ".jobs",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".venv",
    ".venv.lock",
    "__pycache__",
    "build",
    "dist",
    "node_modules",
}
BINARY = {".gif", ".ico", ".jpg", ".png", ".webp", ".woff", ".woff2"}


def files(*folders: str, suffixes: tuple[str, ...] = ()) -> list[Path]:
    """The project's own files under `folders` (all by default), relative to the project."""
    found = [
        path.relative_to(PROJECT)
        for folder in folders or (".",)
        for path in _walk(PROJECT / folder)
        if not suffixes or path.suffix in suffixes
    ]
    return sorted(found)


def text(path: Path) -> str:
    return (PROJECT / path).read_text("utf-8")


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(text(path), filename=str(path))


def imports(module: ast.AST) -> Iterator[tuple[str, ast.Import | ast.ImportFrom]]:
    """Every absolute import below `module`: the module's full name and the node."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module or "", node


def _walk(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        if path.name in PASSED_OVER or path.suffix in BINARY or path.name.endswith(".egg-info"):
            continue
        if path.is_dir():
            yield from _walk(path)
        else:
            yield path
