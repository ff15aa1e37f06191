"""The stack: one Postgres and one Valkey on one data folder, owned by one process.

Owns the folder's lock and state file and the order of start and stop.
"""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from .address import StackAddress, remove_address, take_lock, write_address
from .errors import EmbeddedStackError, writing_into
from .place import recorded_home
from .postgres import Postgres
from .valkey import Valkey

# Names of what destroy() removes; anything else in the folder is not ours.
OWN_FOLDERS = ("postgres", "valkey", "logs")
OWN_FILES = ("postgres.path", "stack.json")


class Stack:
    """The two servers on `data_dir`; as a context manager it starts and stops them.

    Only one stack runs on a folder at a time (EmbeddedStackError, code already_running). Ports that
    are not given are free ones below the ephemeral range, and stay the same over restarts of a
    server. `durable=False` trades safety against a crash of the machine for speed.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        port_postgres: int | None = None,
        port_valkey: int | None = None,
        durable: bool = True,
    ) -> None:
        self.data_dir = Path(data_dir).absolute()
        self.postgres = Postgres(
            self.data_dir, port=port_postgres, durable=durable, on_start=self._publish
        )
        self.valkey = Valkey(
            self.data_dir, port=port_valkey, durable=durable, on_start=self._publish
        )
        self._lock: IO[str] | None = None

    @property
    def database_url(self) -> str:
        return self.postgres.url

    @property
    def redis_url(self) -> str:
        return self.valkey.url

    @property
    def address(self) -> StackAddress:
        return StackAddress(
            database_url=self.database_url,
            redis_url=self.redis_url,
            owner_pid=os.getpid(),
            postgres_pid=self.postgres.pid,
            valkey_pid=self.valkey.pid,
        )

    def start(self) -> Self:
        """Starts both servers, after whatever an earlier owner left behind; nothing runs if one
        of them fails.
        """
        if self._lock is not None:
            raise EmbeddedStackError(
                "already_running", f"This stack runs on {self.data_dir} already."
            )
        with writing_into(self.data_dir):
            self.data_dir.mkdir(mode=0o711, parents=True, exist_ok=True)
        self._lock = take_lock(self.data_dir)
        try:
            remove_address(self.data_dir)
            self.valkey.start()
            self.postgres.start()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stops both servers and gives the folder back; does nothing if the stack does not run."""
        if self._lock is None:
            return
        with ExitStack() as last_first:
            last_first.callback(self._release)
            last_first.callback(self.valkey.stop)
            last_first.callback(self.postgres.stop)
            last_first.callback(remove_address, self.data_dir)

    def destroy(self) -> None:
        """Stops the servers and removes their data."""
        self.stop()
        if (home := self.postgres.home or recorded_home(self.data_dir)) is not None:
            shutil.rmtree(home, ignore_errors=True)
        for name in OWN_FOLDERS:
            shutil.rmtree(self.data_dir / name, ignore_errors=True)
        for name in OWN_FILES:
            (self.data_dir / name).unlink(missing_ok=True)

    def _publish(self) -> None:
        """A restarted server has another pid."""
        if self.postgres.is_alive() and self.valkey.is_alive():
            write_address(self.data_dir, address=self.address)

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.close()
        self._lock = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
