"""Where the running stack of a data folder can be reached: the state file and the owner's lock.

Read by every process that loads the settings, so it needs nothing but the standard library and
stays cheap. It starts and stops nothing.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from .errors import EmbeddedStackError, writing_into

STATE_FILE = "stack.json"
LOCK_FILE = "stack.lock"
WEB_ADDRESS_FILE = "web.url"
"""Where `manage.py dev` says that it serves the pages; not the stack's, but beside its state."""
# Readers hold the lock shared for an instant; a starting owner must not take one of them for
# another owner.
LOCK_PATIENCE_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StackAddress:
    """What a client needs to reach a running stack, and the processes that serve it."""

    database_url: str
    redis_url: str
    owner_pid: int
    postgres_pid: int
    valkey_pid: int


def running_stack(data_dir: Path) -> StackAddress | None:
    """The address of the stack that runs on `data_dir`, or None.

    A stack runs as long as its owner holds the lock of the folder: the kernel releases it with the
    owner's death, so a state file that was left behind deceives nobody.
    """
    if not _is_owned(data_dir):
        return None
    try:
        state = json.loads((data_dir / STATE_FILE).read_text("utf-8"))
        return StackAddress(**{name: state[name] for name in StackAddress.__dataclass_fields__})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_address(data_dir: Path, *, address: StackAddress) -> None:
    """Replaces the state file at once, readable for its owner only (it holds the passwords)."""
    state = {name: getattr(address, name) for name in StackAddress.__dataclass_fields__}
    write_private(data_dir / STATE_FILE, text=json.dumps(state, indent=2) + "\n")


def remove_address(data_dir: Path) -> None:
    (data_dir / STATE_FILE).unlink(missing_ok=True)


def take_lock(data_dir: Path) -> IO[str]:
    """Makes the caller the only owner of `data_dir`; held until the returned file is closed or
    the process dies.
    """
    path = data_dir / LOCK_FILE
    with writing_into(data_dir):
        lock = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+", encoding="utf-8")
    deadline = time.monotonic() + LOCK_PATIENCE_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() < deadline:
                time.sleep(0.02)
                continue
            owner = lock.read().strip() or "unknown"
            lock.close()
            raise EmbeddedStackError(
                "already_running",
                f"A stack already runs on {data_dir} (process {owner}). Use it, stop "
                "it first, or choose another "
                "folder with --data-dir or JOBS_DATA_DIR.",
            ) from None
        lock.seek(0)
        lock.truncate()
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        return lock


def write_private(path: Path, *, text: str) -> None:
    """Writes a file that only its owner may read, whole or not at all."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.draft")
    with os.fdopen(
        os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
    ) as file:
        file.write(text)
    draft.replace(path)


def environment(address: StackAddress) -> Mapping[str, str]:
    """The variables that point another process of the project at the stack."""
    return {"DATABASE_URL": address.database_url, "REDIS_URL": address.redis_url}


def _is_owned(data_dir: Path) -> bool:
    try:
        lock = os.open(data_dir / LOCK_FILE, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(lock)
    return False
