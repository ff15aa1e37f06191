"""The embedded Postgres: its cluster is made once, its server is started, stopped, killed and
started again.

Owns the cluster's folder and the server's settings. Holds no schema: migrations are Django's.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import psycopg
from psycopg import sql

from .address import write_private
from .errors import EmbeddedStackError, writing_into
from .place import Place, find_place
from .processes import (
    ENVIRONMENT,
    HOST,
    ServerProcess,
    evict,
    failed_start,
    free_port,
    is_free,
    log_since,
    nothing,
    open_log,
    require_free,
    wait_for,
)

StopMode = Literal["smart", "fast", "immediate"]

USER = "jobs"
DATABASE = "jobs"
PASSWORD_FILE = "jobs_password"  # noqa: S105 - a file name
START_SECONDS = 60.0
STOP_SECONDS = 30.0
PORT_ATTEMPTS = 5
STOP_SIGNALS: Mapping[StopMode, signal.Signals] = {
    "smart": signal.SIGTERM,
    "fast": signal.SIGINT,
    "immediate": signal.SIGQUIT,
}
INITDB = (
    *("--username", USER, "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C"),
    *("--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
    # The password is 256 random bits: no need to make guessing slow, and connecting with it.
    *("--set", "scram_iterations=1"),
)
SETTINGS: Mapping[str, str] = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "random_page_cost": "1.1",
    "jit": "off",
    # /dev/shm of a container is too small for parallel queries.
    "max_parallel_workers_per_gather": "0",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "min_wal_size": "256MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    # Runs are updated many times a second: dead rows must go before they slow down the claim.
    "autovacuum_naptime": "5s",
    "autovacuum_vacuum_scale_factor": "0.02",
    "autovacuum_analyze_scale_factor": "0.05",
    "autovacuum_vacuum_cost_delay": "1ms",
    "autovacuum_vacuum_cost_limit": "2000",
    "log_checkpoints": "off",
    "log_min_messages": "warning",
    "log_line_prefix": "%m [%p] ",
    "log_timezone": "UTC",
    "timezone": "UTC",
    "client_connection_check_interval": "5s",
}
# For tests: a crash of the machine may lose the cluster. A crash of Postgres may not lose a commit,
# so synchronous_commit stays on: without fsync it costs next to nothing.
NOT_DURABLE: Mapping[str, str] = {
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "128MB",
}


class Postgres:
    """A Postgres server on a folder of its own; start() and stop() may alternate any number of
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
        self._data_dir = data_dir
        self._given_port = port
        self._settings = {**SETTINGS, **({} if durable else NOT_DURABLE)}
        self._durable = durable
        self._place: Place | None = None
        self._port: int | None = None
        self._password = ""
        self._process: ServerProcess | None = None
        self._on_start = on_start

    @property
    def pid(self) -> int:
        return self._running.pid

    @property
    def port(self) -> int:
        if self._port is None:
            raise EmbeddedStackError(
                "not_running", "Postgres was not started yet: call start() first."
            )
        return self._port

    @property
    def url(self) -> str:
        return self.database_url(DATABASE)

    @property
    def log(self) -> Path:
        return self._data_dir / "logs" / "postgres.log"

    def database_url(self, name: str) -> str:
        return f"postgresql://{USER}:{self._password}@{HOST}:{self.port}/{name}"

    def is_alive(self) -> bool:
        return self._process is not None and self._process.is_alive()

    def start(self) -> None:
        """Starts the server and returns when it answers; makes the cluster first if there is
        none.
        """
        if self.is_alive():
            return
        place = self._place = self._place or find_place(self._data_dir)
        with writing_into(place.home):
            _remove_remains(place)
            if not place.cluster.is_dir():
                self._make_cluster(place)
            self._password = (place.cluster / PASSWORD_FILE).read_text("utf-8").strip()
        for attempt in range(1, PORT_ATTEMPTS + 1):
            self._choose_port()
            position = self.log.stat().st_size if self.log.exists() else 0
            self._process = self._launch(place)
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
                raise failed_start("Postgres", log=self.log, said=said)
            self._port = None
        self._make_database()
        self._on_start()

    def stop(self, mode: StopMode = "fast") -> None:
        """Stops the server as `pg_ctl stop -m MODE` does; a server that does not stop in time is
        killed.
        """
        if self._process is not None and not self._process.stop(
            how=STOP_SIGNALS[mode], timeout=STOP_SECONDS
        ):
            self.kill()
        self._process = None

    def kill(self) -> None:
        """SIGKILL for the server and all its children, as a crash of the container would."""
        if self._process is None or self._place is None:
            return
        self._process.signal_family(signal.SIGKILL)
        self._process.stop(how=signal.SIGKILL, timeout=STOP_SECONDS)
        evict(self._place.cluster, program="postgres")
        self._process = None

    def restart(self, mode: StopMode = "fast") -> None:
        self.stop(mode)
        self.start()

    def freeze(self) -> None:
        """Stops all processes of the server where they are: connections stay open and nobody
        answers.
        """
        self._running.signal_family(signal.SIGSTOP)

    def thaw(self) -> None:
        self._running.signal_family(signal.SIGCONT)

    @property
    def home(self) -> Path | None:
        """The cluster's parent folder; not in the data folder if Postgres could not reach that."""
        return self._place.home if self._place else None

    @property
    def cluster(self) -> Path:
        if self._place is None:
            raise EmbeddedStackError("not_running", "Postgres was not started yet: call start().")
        return self._place.cluster

    @property
    def _running(self) -> ServerProcess:
        if self._process is None or not self._process.is_alive():
            raise EmbeddedStackError(
                "not_running", f"Postgres does not run. Its log is {self.log}."
            )
        return self._process

    def _choose_port(self) -> None:
        if self._given_port is not None:
            self._port = require_free(self._given_port, server="Postgres")
        elif self._port is None or not is_free(self._port):
            self._port = free_port()  # else the port that clients know from before a restart

    def _launch(self, place: Place) -> ServerProcess:
        command = [
            str(place.programs / "bin" / "postgres"),
            "-D",
            str(place.cluster),
            "-p",
            str(self.port),
        ]
        for name, value in self._settings.items():
            command += ["-c", f"{name}={value}"]
        return ServerProcess(
            command,
            folder=place.cluster,
            log=self.log,
            stop_signal=signal.SIGINT,
            user=place.account.uid if place.account else None,
            group=place.account.gid if place.account else None,
        )

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.database_url("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _make_database(self) -> None:
        with psycopg.connect(self.database_url("postgres"), autocommit=True) as connection:
            known = connection.execute(
                "SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]
            ).fetchone()
            if known is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))

    def _make_cluster(self, place: Place) -> None:
        """Made beside its final place and renamed when complete, so an interrupted initdb is
        never taken for one.
        """
        draft, password = place.home / "cluster.draft", place.home / "password.draft"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        write_private(password, text=secrets.token_urlsafe(32) + "\n")
        if place.account:
            for path in (draft, password):
                os.chown(path, place.account.uid, place.account.gid)
        command = [str(place.programs / "bin" / "initdb"), *INITDB, "--pgdata", str(draft)]
        command += ["--pwfile", str(password), *([] if self._durable else ["--no-sync"])]
        with open_log(self.log) as log:
            position = self.log.stat().st_size
            finished = subprocess.run(
                command,
                cwd=place.home,
                env=ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                user=place.account.uid if place.account else None,
                group=place.account.gid if place.account else None,
                extra_groups=[] if place.account else None,
                check=False,
            )
        if finished.returncode:
            raise failed_start(
                "initdb of Postgres", log=self.log, said=log_since(self.log, position)
            )
        password.rename(draft / PASSWORD_FILE)
        draft.rename(place.cluster)


def _remove_remains(place: Place) -> None:
    """Ends what a killed owner left running; then its pid file says nothing any more (the pid
    may be another's).
    """
    if (place.cluster / "postmaster.pid").exists():
        evict(place.cluster, program="postgres")
        (place.cluster / "postmaster.pid").unlink(missing_ok=True)
