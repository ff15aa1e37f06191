"""What the settings make of the environment."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from jobs_platform.settings import _is_true, _secret_key, channel_layers, database_settings


def test_a_database_url_becomes_connection_settings() -> None:
    settings = database_settings(
        "postgresql://us%40er:p%2Fw@db.example:6543/na%20me?sslmode=require"
    )
    assert settings == {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "na me",
        "USER": "us@er",
        "PASSWORD": "p/w",
        "HOST": "db.example",
        "PORT": "6543",
        "OPTIONS": {"sslmode": "require"},
        "CONN_MAX_AGE": 600,
        "CONN_HEALTH_CHECKS": True,
    }


def test_a_database_url_may_name_a_socket_folder() -> None:
    settings = database_settings("postgres:///jobs?host=/run/postgresql&port=5433")
    assert (settings["HOST"], settings["PORT"]) == ("/run/postgresql", "5433")
    assert settings["OPTIONS"] == {}


@pytest.mark.parametrize("url", ["mysql://host/name", "postgres://host/", "nonsense"])
def test_another_database_url_is_refused(url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="DATABASE_URL must look like"):
        database_settings(url)


def test_without_a_database_the_reason_is_kept_for_its_first_use() -> None:
    assert "manage.py dev" in database_settings(None)["OPTIONS"]["reason"]


def test_idle_subscriptions_have_no_socket_timeout() -> None:
    (host,) = channel_layers("redis://localhost")["default"]["CONFIG"]["hosts"]
    assert host["socket_timeout"] is None


def test_a_switch_is_true_or_false_and_nothing_else() -> None:
    assert _is_true({"SWITCH": "On"}, "SWITCH", default=False)
    assert not _is_true({"SWITCH": "0"}, "SWITCH", default=True)
    assert _is_true({}, "SWITCH", default=True)
    with pytest.raises(ImproperlyConfigured, match="SWITCH must be true or false"):
        _is_true({"SWITCH": "perhaps"}, "SWITCH", default=True)


def test_the_secret_key_of_development_is_made_once(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    key = _secret_key({}, debug=True, data_dir=folder)
    assert _secret_key({}, debug=True, data_dir=folder) == key
    assert (folder / "secret_key").stat().st_mode & 0o077 == 0
    assert [path.name for path in folder.iterdir()] == ["secret_key"]


def test_a_secret_key_is_required_outside_of_development(tmp_path: Path) -> None:
    with pytest.raises(ImproperlyConfigured, match="DJANGO_SECRET_KEY"):
        _secret_key({}, debug=False, data_dir=tmp_path)
    assert _secret_key({"DJANGO_SECRET_KEY": "given"}, debug=False, data_dir=tmp_path) == "given"


def test_an_unusable_folder_does_not_keep_the_settings_from_loading(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert _secret_key({}, debug=True, data_dir=tmp_path / "file")
