"""The wheel in a project of somebody else's, beside their own `dashboard` and `tasks`."""

from __future__ import annotations

import os
import site
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
SETTINGS = """
SECRET_KEY = "throwaway"
USE_TZ = True
DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "theirs"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
ROOT_URLCONF = "theirs.urls"
INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django_celery_beat",
    "jobs_platform",
    "jobs_platform.realtime",
    "jobs_platform.dashboard",
    "dashboard",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
"""
LOOK = """
import django
django.setup()
import dashboard, jobs_platform, jobs_platform.dashboard, jobs_platform.realtime
from django.apps import apps
print(jobs_platform.__file__)
print(dashboard.OWNER)
print(*sorted(app.name for app in apps.get_app_configs() if app.label.startswith("jobs")))
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    run(
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(folder),
        str(PROJECT),
    )
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_carries_one_package(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"jobs_platform"}
    inside = {name.split("/")[1] for name in names}
    assert {"realtime", "dashboard", "sql", "embedded", "apps.py"} <= inside
    assert not {"tests", "tasks", "settings.py"} & inside


def test_the_wheel_carries_everything_that_is_no_code(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    moved = {"jobs_platform": "", "realtime": "jobs_platform/", "dashboard": "jobs_platform/"}
    moved["templates"] = "jobs_platform/"
    wanted = {
        moved[folder] + str(path.relative_to(PROJECT))
        for folder in moved
        for path in (PROJECT / folder).rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    }
    assert any(name.endswith(".sql") for name in wanted)
    assert not wanted - names


def test_the_wheel_works_in_the_project_of_somebody_else(wheel: Path, tmp_path: Path) -> None:
    environment, project = tmp_path / "venv", tmp_path / "project"
    venv.create(environment, with_pip=False)
    python = environment / "bin" / "python"
    packages = sysconfig.get_path("purelib", vars={"base": str(environment)})
    # The dependencies are those of the running environment; ours is the only new package.
    Path(packages, "outer.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    for name, content in {
        "theirs/__init__.py": "",
        "theirs/settings.py": SETTINGS,
        "theirs/urls.py": "from django.contrib import admin\nfrom django.urls import path\n"
        'urlpatterns = [path("admin/", admin.site.urls)]\n',
        "dashboard/__init__.py": 'OWNER = "theirs"\n',
        "tasks/__init__.py": "",
    }.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(content)
    theirs = {**os.environ, "PYTHONPATH": str(project), "DJANGO_SETTINGS_MODULE": "theirs.settings"}
    assert "no issues" in run(str(python), "-m", "django", "check", cwd=project, env=theirs)
    place, owner, apps = run(str(python), "-c", LOOK, cwd=project, env=theirs).splitlines()
    assert place.startswith(packages)
    assert owner == "theirs"
    assert apps == "jobs_platform jobs_platform.dashboard jobs_platform.realtime"


def run(*command: str, cwd: Path = PROJECT, env: dict[str, str] | None = None) -> str:
    finished = subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout
