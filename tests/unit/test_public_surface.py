"""What `from jobs_platform import …` gives."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import jobs_platform

ROOT = Path(__file__).resolve().parents[2]


def test_the_public_names_are_sorted_and_all_there() -> None:
    names = jobs_platform.__all__
    assert names == sorted(set(names))
    assert all(hasattr(jobs_platform, name) for name in names)


def test_no_module_of_the_package_hides_a_public_name() -> None:
    children = {path.stem for path in Path(jobs_platform.__file__).parent.iterdir()}
    assert not children & set(jobs_platform.__all__)


def test_importing_it_imports_no_framework() -> None:
    code = (
        "import sys, jobs_platform; heavy = {'django', 'celery', 'kombu', 'redis', 'psycopg'}; "
        "print(*sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""
