"""The checked `JOBS` settings as one value. Owns names, defaults, bounds; reads no settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any

from jobs_platform.domain.durations import to_seconds
from jobs_platform.domain.errors import (
    ConfigurationError,
    InvalidDurationError,
    InvalidOptionError,
    close_matches,
    did_you_mean,
)
from jobs_platform.domain.machines import PRESETS, Machine
from jobs_platform.domain.retrying import RetryPolicy

LOG_LEVELS = ("debug", "log", "info", "warn", "error")
MACHINES = PRESETS
"""What every project has; `JOBS["MACHINES"]` adds others. Without a machine a run goes to the
worker queue `default`."""
DEFAULT_WORKER_QUEUE = "default"
DEVELOPMENT = "dev"
MIN_MAX_DURATION_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What a project set in `JOBS`; every field has a default, so none has to be set."""

    project: str = "default"
    environment: str = DEVELOPMENT
    """Slug of the environment that triggers go to unless they name another."""
    dirs: tuple[str, ...] = ("tasks",)
    """Folders (relative to the project) or dotted packages with task modules."""
    ignore_patterns: tuple[str, ...] = ()
    """File patterns left out of discovery, beside tests and conftest."""
    retries: RetryPolicy = field(default_factory=RetryPolicy)
    """For tasks that declare none."""
    retries_enabled_in_dev: bool = True
    max_duration_seconds: float | None = None
    ttl_seconds: float | None = None
    machine: str | None = None
    """For tasks that name none."""
    machines: Mapping[str, Machine] = field(default_factory=lambda: MACHINES)
    """The presets and the project's own."""
    log_level: str = "info"
    """The lowest level of `logger` that is kept."""
    log_lines_per_run: int = 10_000
    telemetry: bool = True
    prepared_statements: bool = True
    """For triggers and reads on Django's connection; not behind a PgBouncer older than 1.21."""
    lease_seconds: float = 30.0
    """An attempt without a heartbeat for this long is lost."""
    heartbeat_seconds: float = 5.0
    shutdown_timeout_seconds: float = 30.0
    cancel_grace_seconds: float = 30.0
    """An attempt that was cancelled or has used up its maximum duration is stopped hard after this,
    if it does not end by itself; `on_cancel` hooks have as long."""
    retention_days: float | None = 90.0
    """Final runs older than this are pruned; None keeps them for ever."""
    base_url: str | None = None
    """Where the dashboard is mounted; `run.url` starts with it."""
    base_dir: str | None = None
    """The folder that `dirs` are relative to; None is the current one."""

    def __post_init__(self) -> None:
        if self.heartbeat_seconds * 2 > self.lease_seconds:
            reason = f"is more than half of LEASE_SECONDS ({self.lease_seconds:g})"
            raise ConfigurationError(key="HEARTBEAT_SECONDS", reason=reason)
        self._check_machine("MACHINE", self.machine)
        self._check_machine("RETRIES", self.retries.out_of_memory_machine)

    def _check_machine(self, key: str, name: str | None) -> None:
        if name is not None and name not in self.machines:
            suggestion = did_you_mean(close_matches(name, self.machines))
            reason = f"names the machine {name!r}, which is not one of {', '.join(self.machines)}"
            raise ConfigurationError(key=key, reason=reason, suggestion=suggestion)

    def run_url(self, run_id: str) -> str | None:
        """The page of a run, when it is known where the dashboard is."""
        return f"{self.base_url}/admin/jobs/run/{run_id}/change/" if self.base_url else None

    @classmethod
    def from_mapping(cls, settings: Mapping[str, Any]) -> Configuration:
        """Read a `JOBS` dict; `ConfigurationError` for an unknown key or a bad value."""
        if not isinstance(settings, Mapping):
            reason = f"must be a dict, not {type(settings).__name__}"
            raise ConfigurationError(key="", reason=reason)
        values = {}
        for key, value in settings.items():
            if key not in _READERS:
                suggestion = did_you_mean(close_matches(str(key), _READERS))
                raise ConfigurationError(key=key, reason="is unknown", suggestion=suggestion)
            name, read = _READERS[key]
            try:
                values[name] = read(value)
            except _Refused as refused:
                raise ConfigurationError(key=key, reason=str(refused)) from None
            except (InvalidDurationError, InvalidOptionError) as error:
                reason = f"is refused: {str(error).rstrip('.')}"
                raise ConfigurationError(key=key, reason=reason) from None
        return cls(**values)


class _Refused(Exception):
    """Why a value is not taken; becomes the reason of a ConfigurationError."""


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _Refused(f"must be a text that is not empty, not {value!r}")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, list | tuple):
        raise _Refused(f"must be a list of texts, not {value!r}")
    return tuple(_text(str(item)) for item in value)


def _slug(value: Any) -> str:
    text = _text(value)
    if len(text) > 64 or not all(c.isascii() and (c.isalnum() or c in "-_") for c in text):
        raise _Refused(f"must be 1 to 64 letters, digits, - or _, not {value!r}")
    return text


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _Refused(f"must be True or False, not {value!r}")
    return value


def _one_of(choices: tuple[str, ...]) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if value not in choices:
            suggestion = did_you_mean(close_matches(str(value), choices))
            raise _Refused(f"must be one of {', '.join(choices)}, not {value!r}{suggestion}")
        return str(value)

    return read


def _count(minimum: int, maximum: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= maximum:
            raise _Refused(f"must be a whole number from {minimum} to {maximum:,}, not {value!r}")
        return value

    return read


def _seconds(minimum: float) -> Callable[[Any], float]:
    return lambda value: to_seconds(value, minimum=minimum)


def _days(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise _Refused(f"must be a number of days above 0, or None, not {value!r}")
    return float(value)


def _optional(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else read(value)


def _url(value: Any) -> str:
    text = _text(value)
    if not text.startswith(("http://", "https://")):
        raise _Refused(f"must start with http:// or https://, not {value!r}")
    return text.rstrip("/")


def _machines(value: Any) -> Mapping[str, Machine]:
    if not isinstance(value, Mapping):
        raise _Refused(
            f'must be a dict such as {{"gpu": Machine(cpu=…, memory_gb=…)}}, not {value!r}'
        )
    own = {_slug(name): _machine(name, machine) for name, machine in value.items()}
    if DEFAULT_WORKER_QUEUE in own:
        raise _Refused(f"may not have a {DEFAULT_WORKER_QUEUE!r}: it is for runs without a machine")
    return MappingProxyType({**MACHINES, **own})


def _machine(name: str, value: Any) -> Machine:
    if isinstance(value, Machine):
        return value
    names = {item.name for item in fields(Machine)}
    if not isinstance(value, Mapping) or set(value) != names:
        raise _Refused(f"needs cpu and memory_gb of {name!r}, and nothing else, not {value!r}")
    return Machine(**value)


_RETRY_KEYS = {
    "MAX_ATTEMPTS": "max_attempts",
    "FACTOR": "factor",
    "MIN_TIMEOUT": "min_timeout_seconds",
    "MAX_TIMEOUT": "max_timeout_seconds",
    "RANDOMIZE": "randomize",
}


def _retries(value: Any) -> RetryPolicy:
    if isinstance(value, RetryPolicy):
        return value
    if not isinstance(value, Mapping):
        raise _Refused(f"must be a dict or a Retry, not {value!r}")
    values: dict[str, Any] = {}
    for key, item in value.items():
        name = _RETRY_KEYS.get(str(key).upper())
        if name is None:
            suggestion = did_you_mean(close_matches(str(key), _RETRY_KEYS))
            raise _Refused(f"has the unknown key {key!r}{suggestion}")
        values[name] = to_seconds(item) if name.endswith("_seconds") else item
    return RetryPolicy(**values)


_Reader = tuple[str, Callable[[Any], Any]]

_READERS: dict[str, _Reader] = {
    "PROJECT": ("project", _slug),
    "ENVIRONMENT": ("environment", _slug),
    "DIRS": ("dirs", _texts),
    "IGNORE_PATTERNS": ("ignore_patterns", _texts),
    "RETRIES": ("retries", _retries),
    "RETRIES_ENABLED_IN_DEV": ("retries_enabled_in_dev", _flag),
    "MAX_DURATION": ("max_duration_seconds", _optional(_seconds(MIN_MAX_DURATION_SECONDS))),
    "TTL": ("ttl_seconds", _optional(_seconds(0.0))),
    "MACHINE": ("machine", _optional(_text)),
    "MACHINES": ("machines", _machines),
    "LOG_LEVEL": ("log_level", _one_of(LOG_LEVELS)),
    "LOG_LINES_PER_RUN": ("log_lines_per_run", _count(0, 10_000_000)),
    "TELEMETRY": ("telemetry", _flag),
    "PREPARED_STATEMENTS": ("prepared_statements", _flag),
    "LEASE_SECONDS": ("lease_seconds", _seconds(3.0)),
    "HEARTBEAT_SECONDS": ("heartbeat_seconds", _seconds(0.1)),
    "SHUTDOWN_TIMEOUT_SECONDS": ("shutdown_timeout_seconds", _seconds(0.0)),
    "CANCEL_GRACE_SECONDS": ("cancel_grace_seconds", _seconds(0.0)),
    "RETENTION_DAYS": ("retention_days", _optional(_days)),
    "BASE_URL": ("base_url", _optional(_url)),
    "BASE_DIR": ("base_dir", lambda value: _text(str(value))),
}

KNOWN_KEYS = tuple(_READERS)
FIELDS = tuple(item.name for item in fields(Configuration))
