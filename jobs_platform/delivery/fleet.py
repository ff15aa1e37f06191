"""A Celery worker as a worker of the platform: registration, keeper, pool processes, shutdown.

Hangs on Celery's signals, so that `celery worker` and `manage.py worker` are the same worker.
"""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any, cast

import billiard.pool
from billiard import current_process
from celery import signals
from celery.exceptions import ImproperlyConfigured
from django.db import close_old_connections, connections, reset_queries

import jobs_platform
from jobs_platform.delivery import wakeups
from jobs_platform.domain.configuration import Configuration
from jobs_platform.domain.errors import JobsError
from jobs_platform.engine import caller
from jobs_platform.engine.define import define_tasks
from jobs_platform.engine.environments import environment_id
from jobs_platform.engine.line import Line
from jobs_platform.engine.worker import register_worker
from jobs_platform.runtime.board import Board
from jobs_platform.runtime.capture import Capture
from jobs_platform.runtime.executor import Executor
from jobs_platform.runtime.keeper import Charge
from jobs_platform.runtime.log_buffer import LogBuffer
from jobs_platform.runtime.process import SPARE, WorkerIdentity, WorkerProcess
from jobs_platform.runtime.slot import Surroundings
from jobs_platform.sdk import ports
from jobs_platform.sdk.registry import registry

_PREFIX = "jobs."
_PREFORK = "prefork"
_RESULT_LOOKS = 10
"""A child that ends waits for the pool to read its results, which mean nothing here: so many tenths
of a second at most, instead of the half minute that a shutdown took now and then."""

_log = logging.getLogger(__name__)


class Fleet:
    """This Celery worker, as far as the platform is concerned. One a process tree."""

    def __init__(self) -> None:
        self._identity: WorkerIdentity | None = None
        self._board: Board | None = None
        self._conninfo = ""
        self._process: WorkerProcess | None = None
        self._charge: Charge | None = None
        self._worker_queues: tuple[str, ...] = ()
        self._slots = 0
        self._main_pid = 0
        self._has_children = False

    def begin(self, *, pool: str, slots: int, queues: Iterable[str]) -> None:
        """Register this worker and start its keeper; in the main process, before the pool."""
        self._worker_queues = tuple(
            name.removeprefix(_PREFIX) for name in queues if name.startswith(_PREFIX)
        )
        if not self._worker_queues:
            return
        configuration = ports.configuration()
        report = registry.discover()
        for error in report.errors:
            _log.error("%s", error)
        known = environment_id()
        self._conninfo = caller.conninfo()
        self._main_pid = os.getpid()
        self._has_children = pool == _PREFORK
        self._slots = slots
        with Line(self._conninfo, application_name="jobs worker") as line:
            define_tasks(line, registry, environment_id=known)
            worker_id = register_worker(
                line,
                environment_id=known,
                name=f"{socket.gethostname()}:{os.getpid()}",
                worker_queues=self._worker_queues,
                task_ids=[task.id for task in registry],
                pool=pool,
                slots=slots,
                lease_seconds=configuration.lease_seconds,
            )
        connections.close_all()
        self._identity = WorkerIdentity(worker_id, known, configuration.environment)
        self._board = Board.create(
            capacity=slots * SPARE, lease_until=time.monotonic() + configuration.lease_seconds
        )
        self._charge = Charge(
            conninfo=self._conninfo,
            board=str(self._board.path),
            worker_id=worker_id,
            worker_pid=os.getpid(),
            has_children=self._has_children,
            lease_seconds=configuration.lease_seconds,
            heartbeat_seconds=configuration.heartbeat_seconds,
            shutdown_timeout_seconds=configuration.shutdown_timeout_seconds,
            cancel_grace_seconds=configuration.cancel_grace_seconds,
            larger_machines=_larger_machines(configuration),
        )
        keeper = _start_keeper(self._charge)
        threading.Thread(
            target=_keep_keeper, args=(keeper, self._charge), name="jobs-keeper", daemon=True
        ).start()

    def begin_process(self) -> None:
        """Make this process ready to execute; called in a pool child, or in the main process."""
        if self._identity is None or self._board is None:
            return
        logs = LogBuffer()
        Capture().install()
        is_child = os.getpid() != self._main_pid
        executor = Executor(ports.configuration(), logs.add, limits_memory=is_child)
        executor.start()
        around = Surroundings(
            conninfo=self._conninfo,
            board=Board(self._board.path),
            logs=logs,
            executor=executor,
            ring=wakeups.ring,
            stand_by=wakeups.stand_by,
            tidy=_close_broken_connections,
        )
        if is_child:
            billiard.pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT = _RESULT_LOOKS
        index = (getattr(current_process(), "index", 0) or 0) % self._slots if is_child else 0
        places = (
            range(index * SPARE, (index + 1) * SPARE) if is_child else range(self._slots * SPARE)
        )
        self._process = WorkerProcess(
            self._identity, around, places=places, parent_id=self._main_pid if is_child else None
        )

    def drain(self, worker_queue: str) -> int:
        """Execute what is claimable; 0 in a worker that does not serve the platform."""
        if self._process is None:
            return 0
        close_old_connections()
        try:
            return self._process.drain(worker_queue)
        finally:
            close_old_connections()
            reset_queries()

    def ready(self) -> None:
        """Ring for ourselves: there may be work from before."""
        for worker_queue in self._worker_queues:
            wakeups.ring(worker_queue, self._slots)

    def shutting_down(self, *, at_once: bool) -> None:
        """Nothing more is claimed; the keeper ends what takes too long."""
        if self._board is not None and os.getpid() == self._main_pid:
            self._board.stop(at_once=at_once)

    def end_process(self) -> None:
        if self._process is not None:
            self._process.stop()
            self._process = None


def _close_broken_connections() -> None:
    """A function may leave its connections in the middle of something."""
    for connection in connections.all(initialized_only=True):
        if connection.connection is None:
            continue
        is_amiss = connection.autocommit is not connection.settings_dict["AUTOCOMMIT"]
        if is_amiss or connection.errors_occurred or connection.in_atomic_block:
            connection.close()
            connection.in_atomic_block = False


def _larger_machines(configuration: Configuration) -> dict[str, str]:
    """Task id → where it is tried once more after it ran out of memory."""
    policies = {task.id: task.retry or configuration.retries for task in registry}
    machines = {task_id: policy.out_of_memory_machine for task_id, policy in policies.items()}
    return {task_id: machine for task_id, machine in machines.items() if machine}


def _start_keeper(charge: Charge) -> subprocess.Popen[str]:
    keeper = subprocess.Popen(
        [sys.executable, "-m", "jobs_platform.runtime.keeper"],
        stdin=subprocess.PIPE,
        text=True,
        start_new_session=True,
        cwd=Path(jobs_platform.__file__).parent.parent,
    )
    with cast("IO[str]", keeper.stdin) as told:
        told.write(charge.to_json() + "\n")
    return keeper


def _keep_keeper(keeper: subprocess.Popen[str], charge: Charge) -> None:
    """A keeper ends after its worker; one that ends before is replaced."""
    while True:
        keeper.wait()
        _log.warning("The keeper ended with code %s; another one starts.", keeper.returncode)
        keeper = _start_keeper(charge)


_fleet = Fleet()
drain = _fleet.drain


@signals.celeryd_after_setup.connect(weak=False)
def _begin(instance: Any, **_: Any) -> None:
    pool = getattr(instance.pool_cls, "__module__", "").rpartition(".")[2]
    try:
        queues = instance.app.amqp.queues.consume_from
        _fleet.begin(pool=pool, slots=instance.concurrency, queues=queues)
    except JobsError as error:
        raise ImproperlyConfigured(f"[{error.code}] {error}") from error
    if pool != _PREFORK:
        _fleet.begin_process()


@signals.worker_process_init.connect(weak=False)
def _begin_process(**_: Any) -> None:
    _fleet.begin_process()


@signals.worker_process_shutdown.connect(weak=False)
def _end_process(**_: Any) -> None:
    _fleet.end_process()


@signals.worker_ready.connect(weak=False)
def _ready(sender: Any, **_: Any) -> None:
    _fleet.ready()
    _notice_a_cold_shutdown(sender)


def _notice_a_cold_shutdown(consumer: Any) -> None:
    """Celery says that it terminates its children only after it has done so."""
    cancel = consumer.cancel_active_requests

    def stop_and_cancel() -> None:
        _fleet.shutting_down(at_once=True)
        cancel()

    consumer.cancel_active_requests = stop_and_cancel


@signals.worker_shutting_down.connect(weak=False)
def _shutting_down(how: str, **_: Any) -> None:
    _fleet.shutting_down(at_once=how != "Warm")


@signals.worker_shutdown.connect(weak=False)
def _end(**_: Any) -> None:
    _fleet.end_process()
