"""What is left after somebody was killed, and what the next start makes of it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from jobs_platform.embedded.address import running_stack
from jobs_platform.embedded.errors import EmbeddedStackError
from jobs_platform.embedded.stack import Stack
from tests.embedded.conftest import Owner
from tests.embedded.memory import remember, remembered
from tests.waiting import wait_until


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_servers_never_outlive_their_owner(
    number: signal.Signals, data_dir: Path, start_owner: Callable[[Path], Owner]
) -> None:
    owner, address = start_owner(data_dir)
    owner.send_signal(number)
    owner.wait(10)
    assert running_stack(data_dir) is None
    for pid in (address.postgres_pid, address.valkey_pid):
        wait_until(lambda pid=pid: not runs(pid), 10, f"the end of process {pid}")


def test_a_frozen_stack_goes_with_its_killed_owner(
    data_dir: Path, start_owner: Callable[[Path], Owner]
) -> None:
    owner, address = start_owner(data_dir)
    for pid in (address.postgres_pid, address.valkey_pid):
        os.kill(pid, signal.SIGSTOP)
    owner.kill()
    for pid in (address.postgres_pid, address.valkey_pid):
        wait_until(lambda pid=pid: not runs(pid), 10, f"the end of process {pid}")


def test_a_start_recovers_from_the_death_of_everybody(
    data_dir: Path, start_owner: Callable[[Path], Owner]
) -> None:
    owner, address = start_owner(data_dir)
    remember(address.database_url, "kept")
    guards = psutil.Process(owner.pid).children()
    for process in [psutil.Process(owner.pid), *guards]:
        process.kill()
    owner.wait(10)
    with Stack(data_dir, durable=False) as stack:
        assert remembered(stack.database_url) == ["kept"]


def test_a_start_ends_the_orphans_of_its_folder_and_no_others(
    data_dir: Path, own_stack: Stack, start_owner: Callable[[Path], Owner]
) -> None:
    owner, address = start_owner(data_dir)
    remember(address.database_url, "kept")
    for process in [*guards_of(owner.pid), psutil.Process(owner.pid)]:
        process.kill()
    owner.wait(10)
    assert runs(address.postgres_pid)
    assert runs(address.valkey_pid)
    with Stack(data_dir, durable=False) as stack:
        assert not runs(address.postgres_pid)
        assert not runs(address.valkey_pid)
        assert remembered(stack.database_url) == ["kept"]
    assert own_stack.postgres.is_alive()
    assert own_stack.valkey.is_alive()


def test_the_pid_of_a_stranger_in_a_stale_file_is_left_alone(data_dir: Path) -> None:
    with Stack(data_dir, durable=False) as stack:
        cluster = stack.postgres.cluster
    (cluster / "postmaster.pid").write_text(
        f"{os.getpid()}\n{cluster}\n1\n5432\n\n127.0.0.1\n0 0\n"
    )
    with Stack(data_dir, durable=False) as stack:
        assert stack.postgres.pid != os.getpid()


def test_an_interrupted_initdb_is_started_over(data_dir: Path) -> None:
    with Stack(data_dir, durable=False) as stack:
        cluster = stack.postgres.cluster
    cluster.rename(cluster.with_name("cluster.draft"))
    (cluster.with_name("cluster.draft") / "PG_VERSION").unlink()
    with Stack(data_dir, durable=False) as stack:
        remember(stack.database_url, "new")


@pytest.mark.parametrize("end", ["fast", "immediate", "kill"])
def test_committed_rows_survive_every_end_of_postgres(end: str, own_stack: Stack) -> None:
    url, pid = own_stack.database_url, own_stack.postgres.pid
    remember(url, end)
    if end == "kill":
        own_stack.postgres.kill()
        own_stack.postgres.start()
    else:
        own_stack.postgres.restart(end)
    assert own_stack.database_url == url
    assert own_stack.postgres.pid != pid
    assert remembered(url) == [end]
    assert running_stack(own_stack.data_dir) == own_stack.address


def test_a_killed_postgres_refuses_and_says_so(own_stack: Stack) -> None:
    own_stack.postgres.kill()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(own_stack.database_url)
    with pytest.raises(EmbeddedStackError, match="does not run") as missing:
        own_stack.postgres.freeze()
    assert missing.value.code == "not_running"


def test_a_killed_valkey_comes_back_at_the_same_address(own_stack: Stack) -> None:
    url, pid = own_stack.redis_url, own_stack.valkey.pid
    own_stack.valkey.kill()
    own_stack.valkey.start()
    assert own_stack.redis_url == url
    assert own_stack.valkey.pid != pid
    with redis.Redis.from_url(url) as client:
        assert client.ping()


def test_a_frozen_valkey_keeps_its_clients_waiting(own_stack: Stack) -> None:
    retry = Retry(NoBackoff(), 0)
    with redis.Redis.from_url(own_stack.redis_url, socket_timeout=0.2, retry=retry) as client:
        client.ping()
        own_stack.valkey.freeze()
        with pytest.raises(redis.TimeoutError):
            client.ping()
        own_stack.valkey.thaw()
        assert client.ping()


def test_a_frozen_postgres_keeps_its_clients_waiting(own_stack: Stack) -> None:
    with psycopg.connect(own_stack.database_url, autocommit=True) as connection:
        own_stack.postgres.freeze()
        connection.pgconn.send_query(b"SELECT 1")
        family = [own_stack.postgres.pid, connection.info.backend_pid]
        wait_until(
            lambda: all(psutil.Process(pid).status() == psutil.STATUS_STOPPED for pid in family),
            5,
            "the server and its backend to stand still",
        )
        own_stack.postgres.thaw()
        answer = connection.pgconn.get_result()
        assert answer is not None
        assert answer.get_value(0, 0) == b"1"
        assert connection.pgconn.get_result() is None


def test_a_frozen_stack_can_be_stopped(own_stack: Stack) -> None:
    own_stack.postgres.freeze()
    own_stack.valkey.freeze()
    own_stack.stop()
    assert running_stack(own_stack.data_dir) is None


def test_a_flush_leaves_nothing_behind(own_stack: Stack) -> None:
    with redis.Redis.from_url(own_stack.redis_url) as client:
        client.set("key", "value")
        own_stack.valkey.flush()
        assert client.dbsize() == 0


def guards_of(pid: int) -> list[psutil.Process]:
    return [child for child in psutil.Process(pid).children() if child.name() == "sh"]


def runs(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
