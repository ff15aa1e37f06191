"""Finds and imports the modules that hold tasks. A module that fails is reported, the rest load."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from hashlib import sha256
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

from jobs_platform.domain.configuration import Configuration
from jobs_platform.domain.errors import TaskDefinitionError, TaskFolderError, TaskImportError

FIRST_MODULE = "init.py"
"""Loaded before the others of its folder: the place for global hooks."""

ALWAYS_IGNORED = ("test_*.py", "*_test.py", "tests.py", "conftest.py")
_IGNORED_FOLDERS = frozenset({"tests", "test", "__pycache__", "migrations", "node_modules"})


@dataclass(frozen=True, slots=True)
class Report:
    """What a discovery found."""

    modules: tuple[str, ...]
    """Imported without an error."""
    errors: tuple[TaskDefinitionError, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """A file with tasks, and the name to import it by."""

    file: Path
    module: str
    package_root: Path | None = None
    """Set for a folder outside the project, which no import path reaches."""


def discover(
    configuration: Configuration, *, forget: Callable[[str], None] = lambda _file: None
) -> Report:
    """Import every task module; `forget` is told the file of each that failed."""
    modules: list[str] = []
    errors: list[TaskDefinitionError] = []
    base = Path(configuration.base_dir or Path.cwd()).resolve()
    importlib.invalidate_caches()
    for entry in configuration.dirs:
        try:
            sources = list(_sources(entry, base, configuration.ignore_patterns))
        except TaskFolderError as error:
            if configuration.dirs != Configuration().dirs:
                errors.append(error)
            continue
        for source in sources:
            failure = _load(source)
            if failure is None:
                modules.append(source.module)
            else:
                errors.append(failure)
                forget(str(source.file))
    return Report(tuple(modules), tuple(errors))


def _sources(entry: str, base: Path, ignored: tuple[str, ...]) -> Iterator[Source]:
    folder = Path(entry) if Path(entry).is_absolute() else base / entry
    if folder.is_dir():
        folder = folder.resolve()
        yield from _in_folder(folder, base, ignored)
        return
    package = _package_folders(entry)
    if not package:
        raise TaskFolderError(entry=entry, folder=str(folder))
    for found in package:
        for file in _files(found, ignored):
            yield Source(file, _dotted(entry, file.relative_to(found)))


def _in_folder(folder: Path, base: Path, ignored: tuple[str, ...]) -> Iterator[Source]:
    prefix = _import_name(folder, base)
    root = None
    if prefix is None:
        prefix, root = f"jobs_tasks_{sha256(str(folder).encode()).hexdigest()[:8]}", folder
    for file in _files(folder, ignored):
        yield Source(file, _dotted(prefix, file.relative_to(folder)), root)


def _import_name(folder: Path, base: Path) -> str | None:
    """The dotted name that imports this folder, and no other; None when there is none."""
    if not folder.is_relative_to(base) or folder == base:
        return None
    parts = folder.relative_to(base).parts
    if not all(part.isidentifier() for part in parts):
        return None
    if str(base) not in sys.path:
        sys.path.insert(0, str(base))
    name = ".".join(parts)
    return name if folder in _package_folders(name) else None


def _files(folder: Path, ignored: tuple[str, ...]) -> list[Path]:
    """Task files below a folder, `init.py` of each folder first, then by name."""
    found = []
    for file in folder.rglob("*.py"):
        relative = file.relative_to(folder)
        folders = relative.parts[:-1]
        hidden = any(part.startswith(".") or part in _IGNORED_FOLDERS for part in folders)
        if not hidden and not _is_ignored(relative, ignored):
            found.append(file)
    return sorted(found, key=lambda file: (file.parent.parts, file.name != FIRST_MODULE, file.name))


def _is_ignored(relative: Path, patterns: tuple[str, ...]) -> bool:
    return any(
        fnmatch(relative.name, pattern) or fnmatch(relative.as_posix(), pattern)
        for pattern in (*ALWAYS_IGNORED, *patterns)
    )


def _dotted(prefix: str, relative: Path) -> str:
    parts = relative.with_suffix("").parts
    return ".".join((prefix, *(parts[:-1] if parts[-1] == "__init__" else parts)))


def _package_folders(name: str) -> list[Path]:
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return []
    locations = spec.submodule_search_locations if spec else None
    return [Path(location).resolve() for location in locations or ()]


def _load(source: Source) -> TaskDefinitionError | None:
    try:
        if source.package_root is not None:
            _ensure_package(source.module, source.package_root)
        importlib.import_module(source.module)
    except TaskDefinitionError as error:
        return error
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a user's module may raise anything
        return _import_error(source, error)
    return None


def _ensure_package(module: str, root: Path) -> None:
    """Make an importable package of a folder outside the project."""
    name = module.partition(".")[0]
    if name in sys.modules:
        return
    spec = ModuleSpec(name, None, is_package=True)
    spec.submodule_search_locations = [str(root)]
    package = ModuleType(name)
    package.__path__ = [str(root)]
    package.__spec__ = spec
    sys.modules[name] = package


def _import_error(source: Source, error: BaseException) -> TaskImportError:
    """Where the module itself failed: its own last line, not that of a library."""
    file, line = str(source.file), 0
    if isinstance(error, SyntaxError) and error.filename:
        file, line = error.filename, error.lineno or 0
    else:
        frames = traceback.extract_tb(error.__traceback__)
        line = next((f.lineno or 0 for f in reversed(frames) if f.filename == file), 0)
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    reason = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return TaskImportError(module=source.module, file=file, line=line, reason=reason)
