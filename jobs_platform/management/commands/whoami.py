"""`manage.py whoami`: which environment, servers and versions this command line talks to."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import redis
from django.conf import settings
from django.core.management.base import CommandParser
from rich.text import Text

from jobs_platform.domain.errors import JobsError
from jobs_platform.engine import caller
from jobs_platform.engine.environments import environment_id
from jobs_platform.management.checkup import broker, database
from jobs_platform.management.checkup.fleet import Fleet
from jobs_platform.management.jobs_command import JobsCommand
from jobs_platform.management.servers import database_url, redis_url, without_password
from jobs_platform.sdk.ports import configuration

_PACKAGES = ("jobs-platform", "django", "celery", "channels", "psycopg", "redis")


class Command(JobsCommand):
    """Name what this project is connected to; what is away is said to be."""

    help = "Show environment, project, settings, database, Redis, versions and live workers."

    def add_arguments(self, parser: CommandParser) -> None:
        self.add_common_arguments(parser)

    def run(self, **_options: Any) -> None:
        known = configuration()
        facts: dict[str, Any] = {
            "environment": known.environment,
            "project": known.project,
            "settings": settings.SETTINGS_MODULE,
            "database": _database(),
            "redis": _redis(),
            "versions": _versions(),
            "workers": None,
            "beats": None,
        }
        if facts["database"]["error"] is None:
            facts |= _fleet()
        self.terminal.emit(facts)
        self._show(facts)

    def _show(self, facts: dict[str, Any]) -> None:
        workers = facts["workers"]
        self.terminal.pairs(
            [
                ("Environment", facts["environment"]),
                ("Project", facts["project"]),
                ("Settings", facts["settings"]),
                ("Database", _server(facts["database"])),
                ("Redis", _server(facts["redis"])),
                ("Workers", "unknown" if workers is None else f"{workers} live"),
                ("Beats", "unknown" if facts["beats"] is None else f"{facts['beats']} live"),
                *((name, known) for name, known in facts["versions"].items()),
            ]
        )


def _server(facts: dict[str, Any]) -> Text:
    if facts["error"]:
        return Text.assemble(f"{facts['url']}  ", (f"not usable: {facts['error']}", "red"))
    return Text(f"{facts['url']}  ({facts['version']})")


def _database() -> dict[str, Any]:
    url = database_url(with_password=False)
    try:
        with caller.translated():
            caller.connection().ensure_connection()
            return {"url": url, "version": database.server_version(), "error": None}
    except JobsError as error:
        return {"url": url, "version": None, "error": getattr(error, "reason", str(error))}


def _redis() -> dict[str, Any]:
    url = without_password(redis_url())
    try:
        with broker.client() as client:
            return {"url": url, "version": broker.server_name(client), "error": None}
    except (redis.RedisError, ValueError) as error:
        return {"url": url, "version": None, "error": str(error).rstrip(".")}


def _fleet() -> dict[str, Any]:
    try:
        fleet = Fleet(environment_id())
    except JobsError:
        return {}  # not migrated yet: doctor says so
    return {"workers": len(fleet.workers), "beats": fleet.beats}


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue  # this repository runs without being installed
    return found
