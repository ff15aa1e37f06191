"""The usage in each example's docstring: its Python is executed, its commands are checked."""

from __future__ import annotations

import doctest
import importlib
import json
import re
import shlex
from pathlib import Path

import pytest

import jobs_platform
import tasks.examples
from jobs_platform import runs
from jobs_platform.runtime.capture import OutputProxy
from jobs_platform.sdk.registry import registry
from tests.architecture.sources import files, imports, tree
from tests.executing import InProcessWorker

MODULES = sorted(
    file.stem for file in Path(tasks.examples.__file__).parent.glob("*.py") if file.stem[0] != "_"
)
COMMAND = re.compile(r"^ +python manage\.py trigger ((?:.*\\\n)*.*)$", re.MULTILINE)
# doctest puts a stream of its own in place of stdout; prints of runs must not end up there.
PRINTS_OF_RUNS = doctest.Example(
    "import sys; sys.stdout = OutputProxy(sys.stdout, 'stdout')\n", want=""
)
FLAGS = doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL


@pytest.mark.parametrize("name", MODULES)
def test_the_usage_of_the_docstring_works(name: str, worker: InProcessWorker) -> None:
    module = importlib.import_module(f"tasks.examples.{name}")
    examples = doctest.DocTestParser().get_doctest(
        module.__doc__ or "", {"OutputProxy": OutputProxy}, name, module.__file__, 0
    )
    assert examples.examples
    examples.examples.insert(0, PRINTS_OF_RUNS)
    said: list[str] = []
    with worker.in_background():
        result = doctest.DocTestRunner(optionflags=FLAGS).run(examples, out=said.append)
    assert not result.failed, "".join(said)
    worker.execute_until_idle()
    assert all(run.is_completed for run in runs.list())


@pytest.mark.parametrize("name", MODULES)
def test_the_commands_of_the_docstring_name_tasks_and_fitting_payloads(name: str) -> None:
    module = importlib.import_module(f"tasks.examples.{name}")
    commands = COMMAND.findall(module.__doc__ or "")
    assert commands
    for command in commands:
        words = shlex.split(command.replace("\\\n", " "))
        payload = words[words.index("--payload") + 1]
        registry.find(words[0]).load_payload(json.dumps(json.loads(payload)))


def test_tasks_import_public_names_only() -> None:
    """No submodule either: `tests/architecture` sees those that are imported by their path."""
    imported = {
        alias.name
        for path in files("tasks", suffixes=(".py",))
        for name, node in imports(tree(path))
        if name == "jobs_platform"
        for alias in node.names
    }
    assert imported
    assert imported <= {*jobs_platform.__all__}


def test_every_example_declares_a_task() -> None:
    registry.discover()
    declared = {Path(task.file).stem for task in registry}
    assert set(MODULES) <= declared
