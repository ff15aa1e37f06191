"""Who may import whom: the contracts of pyproject.toml, and what import-linter cannot see."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

from tests.architecture.sources import PRODUCT, PROJECT, files, imports, tree

# Both are found by app label, because their names differ in the wheel.
MOVED = ("realtime", "dashboard")


def test_the_contracts_hold() -> None:
    lint = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    finished = subprocess.run(
        [sys.executable, "-c", lint, "--no-cache"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr


def test_nobody_imports_realtime_and_dashboard_by_name() -> None:
    guilty = [
        f"{path}:{node.lineno} {name}"
        for path in files(*PRODUCT, "tasks", "benchmarks", suffixes=(".py",))
        for name, node in imports(tree(path))
        if name.split(".")[0] in MOVED
        or name.startswith(tuple(f"jobs_platform.{m}" for m in MOVED))
    ]
    assert not guilty


def test_tasks_use_public_names_only() -> None:
    public = ("jobs_platform", "jobs_platform.testing")
    guilty = [
        f"{path}:{node.lineno} {name}"
        for path in files("tasks", suffixes=(".py",))
        for name, node in imports(tree(path))
        if name.split(".")[0] in PRODUCT and name not in public
    ]
    assert not guilty


def test_the_public_surface_loads_no_django() -> None:
    seen = "import sys, jobs_platform; print(*{m.partition('.')[0] for m in sys.modules})"
    loaded = subprocess.run(
        [sys.executable, "-c", seen], cwd=PROJECT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"celery", "channels", "django", "kombu", "psycopg", "redis"} & {*loaded}


def test_no_module_beside_the_public_surface_bears_a_public_name() -> None:
    """Importing `jobs_platform.metadata` as a module would replace the public object."""
    public = {
        alias.asname or alias.name
        for node in ast.walk(tree(Path("jobs_platform/__init__.py")))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    children = {path.stem for path in (PROJECT / "jobs_platform").iterdir()}
    assert not public & children


def test_imports_stand_at_the_top_outside_the_composition_root() -> None:
    guilty = [
        f"{path}:{node.lineno}"
        for path in files(*PRODUCT, "tasks", suffixes=(".py",))
        if path.parts != ("jobs_platform", "apps.py")
        for function in ast.walk(tree(path))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert not guilty


def test_the_environment_is_read_in_the_settings_only() -> None:
    """Handing the environment on to a child and naming the settings module are no reading."""
    guilty = [
        f"{path}:{node.lineno}"
        for path in files(*PRODUCT, suffixes=(".py",))
        if path.parts != ("jobs_platform", "settings.py")
        for node in ast.walk(tree(path))
        if _reads_environment(node)
    ]
    assert not guilty


def _reads_environment(node: ast.AST) -> bool:
    match node:
        case ast.Attribute(value=ast.Name(id="os"), attr="getenv" | "getenvb" | "environb"):
            return True
        case ast.Attribute(value=ast.Attribute(attr="environ"), attr=method):
            return method not in ("setdefault", "copy", "update")
        case ast.Subscript(value=ast.Attribute(attr="environ"), ctx=ast.Load()):
            return True
        case ast.Compare(comparators=[ast.Attribute(attr="environ")]):
            return True
        case ast.ImportFrom(module="os", names=names):
            return any(alias.name in ("environ", "getenv") for alias in names)
    return False
