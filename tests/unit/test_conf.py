"""The settings of a project as a configuration."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from jobs_platform import conf
from jobs_platform.domain.configuration import Configuration
from jobs_platform.domain.errors import ConfigurationError


def _settings(monkeypatch: pytest.MonkeyPatch, **given: Any) -> None:
    monkeypatch.setattr(conf, "settings", SimpleNamespace(**given))


def test_without_jobs_everything_is_default(monkeypatch: pytest.MonkeyPatch) -> None:
    _settings(monkeypatch)
    assert conf.read() == Configuration()


def test_jobs_is_read_and_folders_are_relative_to_the_project(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _settings(monkeypatch, JOBS={"TTL": "1m"}, BASE_DIR="/srv/shop")
    assert conf.read() == Configuration(ttl_seconds=60, base_dir="/srv/shop")


@pytest.mark.parametrize("wrong", [{"TLT": "1m"}, [("TTL", "1m")], None])
def test_a_bad_jobs_leaves_the_defaults_so_that_check_can_report_it(
    monkeypatch: pytest.MonkeyPatch, wrong: Any
) -> None:
    _settings(monkeypatch, JOBS=wrong, BASE_DIR="/srv/shop")
    with pytest.raises(ConfigurationError):
        conf.read()
    assert conf.configuration() == Configuration(base_dir="/srv/shop")
