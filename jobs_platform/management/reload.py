"""Watches the project's files and says which programs have to be replaced when one is saved."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from watchfiles import Change, watch

CODE = frozenset({".py", ".sql", ".toml"})
"""Read once by every process."""
PAGES = frozenset({".html"})
"""Read once by the web process."""
_IGNORED_FOLDERS = frozenset(
    {"__pycache__", "build", "dist", "migrations", "node_modules", "site-packages", "static"}
)
_IGNORED_AT_THE_TOP = frozenset({"benchmarks", "docs", "tests"})
_DEBOUNCE_MS = 400
_POLL_MS = 50


class Reloader:
    """Calls `on_save(suffixes, file)` from threads of its own, until it is closed."""

    def __init__(
        self, base: Path, folders: Iterable[Path], *, on_save: Callable[[set[str], Path], None]
    ) -> None:
        self._base = base
        self._on_save = on_save
        self._over = threading.Event()
        outside = [folder for folder in folders if not folder.is_relative_to(base)]
        self._roots = [*outside, base]
        self._watch([*_code_folders(base), *outside], recursive=True)
        # Not all of it recursively: below it lie .venv and the embedded servers' data.
        self._watch([base], recursive=False)

    def close(self) -> None:
        self._over.set()

    def _watch(self, paths: list[Path], *, recursive: bool) -> None:
        if paths:
            threading.Thread(
                target=self._follow, args=(paths, recursive), name="reload", daemon=True
            ).start()

    def _follow(self, paths: list[Path], recursive: bool) -> None:
        changes = watch(
            *paths,
            watch_filter=self._is_ours,
            debounce=_DEBOUNCE_MS,
            step=_POLL_MS,
            stop_event=self._over,
            rust_timeout=500,
            recursive=recursive,
            raise_interrupt=False,
            ignore_permission_denied=True,
        )
        for changed in changes:
            files = [Path(name) for _, name in changed]
            self._on_save({file.suffix for file in files}, min(files))

    def _is_ours(self, _change: Change, name: str) -> bool:
        path = Path(name)
        if path.suffix not in CODE | PAGES or path.name.startswith("."):
            return False
        root = next((root for root in self._roots if path.is_relative_to(root)), path.parent)
        return not _IGNORED_FOLDERS.intersection(path.relative_to(root).parts)


def _code_folders(base: Path) -> list[Path]:
    """The project's own folders with code, at the top."""
    return [
        folder
        for folder in sorted(base.iterdir())
        if folder.is_dir()
        and not folder.name.startswith(".")
        and folder.name not in _IGNORED_FOLDERS | _IGNORED_AT_THE_TOP
        and not (folder / "pyvenv.cfg").exists()
    ]
