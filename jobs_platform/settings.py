"""The settings of this repository's own project, and the only place that reads environment
variables.

A project of your own keeps its own settings: nothing else of the platform may import this module.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

from jobs_platform.embedded.address import WEB_ADDRESS_FILE, running_stack

BASE_DIR = Path(__file__).resolve().parent.parent
NO_DATABASE = "There is no database: start one with `python manage.py dev`, or set DATABASE_URL."
# Nobody listens on port 1: without a stack a broker is refused at once, and never somebody else's.
NO_REDIS = "redis://127.0.0.1:1/0"
POSTGRES = "django.db.backends.postgresql"


def database_settings(url: str | None) -> dict[str, Any]:
    """DATABASES["default"] for a postgres:// URL; without one, a database that explains itself
    on first use.
    """
    kept_open = {"CONN_MAX_AGE": 600, "CONN_HEALTH_CHECKS": True}
    if not url:
        return {
            "ENGINE": "jobs_platform.embedded.absent.postgresql",
            "NAME": "absent",
            "OPTIONS": {"reason": NO_DATABASE},
        }
    parts = urlsplit(url)
    name = unquote(parts.path.removeprefix("/"))
    if parts.scheme not in ("postgres", "postgresql") or not name:
        raise ImproperlyConfigured(
            "DATABASE_URL must look like postgresql://user:password@host:port/name."
        )
    options = dict(parse_qsl(parts.query))
    return {
        "ENGINE": POSTGRES,
        "NAME": name,
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": unquote(parts.hostname or "") or options.pop("host", ""),
        "PORT": str(parts.port or options.pop("port", "")),
        "OPTIONS": options,
        **kept_open,
    }


def channel_layers(redis_url: str) -> dict[str, Any]:
    # redis-py 8 gives every socket a timeout of 5 s, which would tear down idle subscriptions.
    host = {
        "address": redis_url,
        "socket_timeout": None,
        "socket_keepalive": True,
        "health_check_interval": 15,
    }
    return {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [host]},
        }
    }


def _is_true(environ: Mapping[str, str], name: str, *, default: bool) -> bool:
    value = environ.get(name, "").strip().lower()
    if value not in ("", "1", "0", "true", "false", "yes", "no", "on", "off"):
        raise ImproperlyConfigured(f"{name} must be true or false, not {value!r}.")
    return value in ("1", "true", "yes", "on") if value else default


def _items(environ: Mapping[str, str], name: str) -> list[str]:
    return [item.strip() for item in environ.get(name, "").split(",") if item.strip()]


def _secret_key(environ: Mapping[str, str], *, debug: bool, data_dir: Path) -> str:
    if key := environ.get("DJANGO_SECRET_KEY"):
        return key
    if not debug:
        raise ImproperlyConfigured(
            "Set DJANGO_SECRET_KEY: outside of development there is no default for it."
        )
    path, draft = data_dir / "secret_key", data_dir / f"secret_key.{os.getpid()}.draft"
    try:
        if not path.exists():
            data_dir.mkdir(mode=0o711, parents=True, exist_ok=True)
            with os.fdopen(
                os.open(draft, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8"
            ) as file:
                file.write(secrets.token_urlsafe(50))
            with suppress(FileExistsError):
                os.link(draft, path)  # the first of several processes wins
            draft.unlink()
        return path.read_text("utf-8")
    except OSError:
        return secrets.token_urlsafe(
            50
        )  # a folder that cannot be written: sessions end with the process


def _base_url(environ: Mapping[str, str], data_dir: Path) -> str | None:
    """Where this project's pages are: given, or where a running `dev` says that it serves them."""
    if url := environ.get("JOBS_BASE_URL"):
        return url
    try:
        return (data_dir / WEB_ADDRESS_FILE).read_text("utf-8").strip() or None
    except OSError:
        return None


_environ = os.environ
DATA_DIR = Path(_environ.get("JOBS_DATA_DIR") or BASE_DIR / ".jobs").absolute()
ENVIRONMENT = _environ.get("JOBS_ENVIRONMENT") or "dev"
DEBUG = _is_true(_environ, "DJANGO_DEBUG", default=ENVIRONMENT == "dev")
SECRET_KEY = _secret_key(_environ, debug=DEBUG, data_dir=DATA_DIR)
ALLOWED_HOSTS = _items(_environ, "DJANGO_ALLOWED_HOSTS")
CSRF_TRUSTED_ORIGINS = [f"https://{host.lstrip('.')}" for host in ALLOWED_HOSTS if host != "*"]
PORT = int(_environ.get("PORT") or 8000)

_stack = None
if not (_environ.get("DATABASE_URL") and _environ.get("REDIS_URL")):
    _stack = running_stack(DATA_DIR)
DATABASE_URL = _environ.get("DATABASE_URL") or (_stack.database_url if _stack else None)
REDIS_URL = _environ.get("REDIS_URL") or (_stack.redis_url if _stack else NO_REDIS)

DATABASES = {"default": database_settings(DATABASE_URL)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
CHANNEL_LAYERS = channel_layers(REDIS_URL)

JOBS: dict[str, Any] = {
    "DIRS": ["tasks", *_items(_environ, "JOBS_DIRS")],
    "ENVIRONMENT": ENVIRONMENT,
    "BASE_URL": _base_url(_environ, DATA_DIR),
}

INSTALLED_APPS = [
    "daphne",
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "django_celery_beat",
    "jobs_platform",
    "realtime",
    "dashboard",
]
if (BASE_DIR / "tasks" / "apps.py").is_file():
    INSTALLED_APPS.append("tasks")  # tasks with models of their own
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "jobs_platform.urls"
ASGI_APPLICATION = "jobs_platform.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
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
UNFOLD = {"SITE_TITLE": "Jobs Platform", "SITE_HEADER": "Jobs Platform", "SITE_SYMBOL": "bolt"}
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
    )
]
LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "build" / "static"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not DEBUG

# What else Celery needs are defaults of jobs_platform.celery.
CELERY_BROKER_URL = REDIS_URL
CELERY_TIMEZONE = TIME_ZONE
