"""Fixtures of tests that need neither server nor Django: a process as if freshly started."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs_platform.domain.configuration import Configuration
from jobs_platform.sdk import ports
from jobs_platform.sdk.hooks import hooks
from jobs_platform.sdk.registry import registry
from tests.unit.fakes import RecordingEngine


@pytest.fixture
def fresh_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No task, no hook, no engine; the project is an empty folder, which is the value."""
    monkeypatch.setattr(registry, "_tasks", {})
    monkeypatch.setattr(registry, "_report", None)
    monkeypatch.setattr(hooks, "_by_name", {})
    monkeypatch.setattr(ports._platform, "engine", None)
    configuration = Configuration(base_dir=str(tmp_path), dirs=())
    monkeypatch.setattr(ports._platform, "configuration", configuration)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@pytest.fixture
def engine(fresh_process: Path, monkeypatch: pytest.MonkeyPatch) -> RecordingEngine:
    """The engine's port, answered by a fake."""
    fake = RecordingEngine()
    monkeypatch.setattr(ports._platform, "engine", fake)
    return fake
