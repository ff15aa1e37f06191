"""The database and the Redis that `dev` and `demo` use: given ones, or the embedded stack.

Starts and stops the stack and points this process' Django at it. Other processes find it through
JOBS_DATA_DIR.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from celery import current_app
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections
from psycopg.conninfo import conninfo_to_dict

from jobs_platform.embedded import absent
from jobs_platform.embedded.address import running_stack
from jobs_platform.embedded.stack import Stack

_POSTGRES_ENGINE = "django.db.backends.postgresql"
_NOBODYS_PORT = 1
"""The port of a Redis URL that stands for none."""


@dataclass(frozen=True, slots=True)
class Servers:
    """Where they are, and the stack if this process has started one."""

    database_url: str
    redis_url: str
    stack: Stack | None

    def revive(self) -> list[str]:
        """Start embedded servers again that have ended; the names of those."""
        if self.stack is None:
            return []
        revived = []
        for name, server in (("Valkey", self.stack.valkey), ("Postgres", self.stack.postgres)):
            if not server.is_alive():
                server.start()
                revived.append(name)
        return revived


def default_data_dir() -> Path:
    """The folder of the embedded stack that this project's settings look into."""
    return Path(getattr(settings, "DATA_DIR", None) or Path.cwd() / ".jobs").absolute()


@contextmanager
def started_servers(data_dir: Path) -> Iterator[Servers]:
    """The servers that the settings name; what they do not name is started on `data_dir`."""
    is_database_given, is_redis_given = _given()
    if is_database_given and is_redis_given:
        yield Servers(database_url(), redis_url(), None)
        return
    stack = Stack(data_dir)
    try:
        stack.start()
        if not is_database_given:
            _use_database(stack.database_url)
        if not is_redis_given:
            settings.REDIS_URL = settings.CELERY_BROKER_URL = stack.redis_url
        yield Servers(database_url(), redis_url(), stack)
    finally:
        connections.close_all()
        stack.stop()


def database_url(*, with_password: bool = True) -> str:
    """Django's default database as a URL."""
    known = connections.settings[DEFAULT_DB_ALIAS]
    user, password = quote(known["USER"], safe=""), quote(known["PASSWORD"], safe="")
    secret = f":{password if with_password else '***'}" if password else ""
    login = f"{user}{secret}@" if user else ""
    host = quote(known["HOST"], safe="")
    port = f":{known['PORT']}" if known["PORT"] else ""
    return f"postgresql://{login}{host}{port}/{quote(str(known['NAME']), safe='')}"


def redis_url() -> str:
    """The broker's address: `CELERY_BROKER_URL`, or what the project's Celery app was told."""
    return getattr(settings, "CELERY_BROKER_URL", None) or current_app.conf.broker_url or ""


def without_password(url: str) -> str:
    """A URL that may be shown."""
    parts = urlsplit(url)
    if not parts.password:
        return url
    login, _, address = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{login.partition(':')[0]}:***@{address}").geturl()


def _given() -> tuple[bool, bool]:
    """Whether the settings name a database and a Redis other than those of a running stack."""
    known = connections.settings[DEFAULT_DB_ALIAS]
    running = running_stack(default_data_dir())
    is_stacks_database = running is not None and running.database_url == database_url()
    broker = redis_url()
    is_stacks_redis = running is not None and running.redis_url == broker
    has_redis = bool(broker) and urlsplit(broker).port != _NOBODYS_PORT
    return (
        not known["ENGINE"].startswith(absent.__name__) and not is_stacks_database,
        has_redis and not is_stacks_redis,
    )


def _use_database(url: str) -> None:
    known = conninfo_to_dict(url)
    connections[DEFAULT_DB_ALIAS].close()
    del connections[DEFAULT_DB_ALIAS]  # this thread's next one is made from the new settings
    connections.settings[DEFAULT_DB_ALIAS] |= {
        "ENGINE": _POSTGRES_ENGINE,
        "NAME": known["dbname"],
        "USER": known["user"],
        "PASSWORD": known["password"],
        "HOST": known["host"],
        "PORT": str(known["port"]),
        "OPTIONS": {},
    }
