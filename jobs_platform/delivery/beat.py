"""The clock: a Celery beat scheduler that also wakes what Postgres says is due.

Existing PeriodicTask rows go on working; each is claimed once per due time by a guarded UPDATE. Any
number of beats may run: every sweep locks what it takes and may run twice.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

import psycopg
from celery.schedules import schedstate
from django.core.exceptions import ObjectDoesNotExist
from django.db import DatabaseError, InterfaceError, close_old_connections
from django.db.models import F, Q, QuerySet
from django_celery_beat.models import PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler, ModelEntry

from jobs_platform.delivery import wakeups
from jobs_platform.domain.errors import DatabaseUnavailableError, JobsError
from jobs_platform.engine import caller
from jobs_platform.engine.channels import DUE_CHANNEL
from jobs_platform.engine.define import define_tasks
from jobs_platform.engine.due import what_is_due
from jobs_platform.engine.environments import environment_id
from jobs_platform.engine.expire_due import expire_due
from jobs_platform.engine.fire import fire_due
from jobs_platform.engine.line import Line
from jobs_platform.engine.queue_due import queue_due
from jobs_platform.engine.recover import recover_lost_workers
from jobs_platform.engine.slots import admit, admit_waiting
from jobs_platform.engine.worker import register_worker, renew_lease, stop_worker
from jobs_platform.sdk import ports
from jobs_platform.sdk.registry import registry

TICK_SECONDS = 1.0
"""The longest sleep between two looks; a notice ends it before."""
LOCK_SECONDS = 1.0
"""Whoever holds the lock of a run for long must not stop the clock."""
POOL = "beat"
"""How a beat calls itself among the workers; it has no slots."""
_CHANGES_SECONDS = 5.0
_AWAY_SECONDS = 1.0

_log = logging.getLogger(__name__)


class JobsScheduler(DatabaseScheduler):
    """django-celery-beat's scheduler, and the sweeps of the platform."""

    def __init__(self, *args: Any, lazy: bool = False, **kwargs: Any) -> None:
        self._claimed_from: datetime | None = None
        self._reserved: Any = None
        self._changes_seen_at = 0.0
        self._must_reload = False
        super().__init__(*args, lazy=lazy, **kwargs)
        self.clock = None if lazy else Clock()

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Fire what is due, then sleep until the next time or a notice; never asks for more."""
        until_next = self.clock.look() if self.clock else TICK_SECONDS
        try:
            until_periodic = super().tick(*args, **kwargs)
        except (DatabaseError, InterfaceError, ObjectDoesNotExist) as error:
            _log.warning("Periodic tasks are read again: %s", error)
            close_old_connections()
            self._must_reload = True  # the entry at hand has left the heap
            until_periodic = _AWAY_SECONDS
        wait = max(0.0, min(until_next, until_periodic, TICK_SECONDS))
        if self.clock and wait:
            self.clock.wait(wait)
            return 0.0
        return wait

    def close(self) -> None:
        super().close()
        if self.clock:
            self.clock.close()

    def enabled_models_qs(self) -> QuerySet[PeriodicTask]:
        """All of them: the library's filter by hour drops overdue ones and fires them later."""
        return self.Model.objects.enabled()

    def install_default_entries(self, data: Any) -> None:
        """Without a result backend there is nothing to clean up."""
        if self.app.conf.result_backend:
            super().install_default_entries(data)

    def schedule_changed(self) -> bool:
        """The library asks three times a tick; the answer keeps for five seconds."""
        now = time.monotonic()
        if now - self._changes_seen_at < _CHANGES_SECONDS and not self._must_reload:
            return False
        self._changes_seen_at = now
        has_changed = bool(super().schedule_changed())
        must_reload, self._must_reload = self._must_reload, False
        return has_changed or must_reload

    producer = None
    """The library's would try for ever to reach Redis, in front of every sweep."""

    def is_due(self, entry: ModelEntry) -> Any:
        """Nothing is due while Redis is away: it would be claimed, and lost."""
        state = super().is_due(entry)
        if state[0] and not wakeups.bell().answers():
            return schedstate(False, _AWAY_SECONDS)
        return state

    def reserve(self, entry: ModelEntry) -> ModelEntry:
        self._claimed_from = entry.model.last_run_at
        self._reserved = super().reserve(entry)
        return self._reserved

    def apply_entry(self, entry: ModelEntry, producer: Any = None) -> None:
        """Publish a periodic task, unless another beat has done so for this due time."""
        if not _claim(entry.model, self._claimed_from):
            # What the other one wrote is what this one has to go on from.
            entry.model.refresh_from_db(fields=["last_run_at", "total_run_count"])
            self._reserved.last_run_at = entry.model.last_run_at or self._claimed_from
            return
        with self.app.connection_for_write() as connection:
            super().apply_entry(entry, self.app.amqp.Producer(connection, auto_declare=False))

    def sync(self) -> None:
        """Nothing is to be written later: claims write at once, and may be older by then."""
        self._dirty.clear()


class Clock:
    """Looks once a tick at everything that waits for a time, and does what is due."""

    def __init__(self) -> None:
        self._line = Line(
            caller.conninfo(), application_name="jobs beat", lock_timeout_seconds=LOCK_SECONDS
        )
        self._environment_id = environment_id()
        self._swept_to = ("", "")
        registry.discover()
        define_tasks(self._line, registry, environment_id=self._environment_id)
        self._lease_seconds = ports.configuration().lease_seconds
        self._heartbeat_seconds = ports.configuration().heartbeat_seconds
        self._register()

    def look(self) -> float:
        """One look; returns the seconds until the next one is worth while."""
        try:
            return self._sweep()
        except DatabaseUnavailableError as error:
            _log.warning("The clock waits for the database: %s", error)
        except (JobsError, psycopg.Error):
            _log.exception("The clock goes on after an error.")
        self._line.close()
        return _AWAY_SECONDS

    def wait(self, seconds: float) -> None:
        """Sleep, but wake for a notice that something is due."""
        try:
            self._line.wait_for_notices(DUE_CHANNEL, seconds)
        except DatabaseUnavailableError:
            self._line.close()
            time.sleep(min(seconds, _AWAY_SECONDS))

    def close(self) -> None:
        try:
            stop_worker(self._line, self._worker_id)
        except JobsError as error:
            _log.info("This beat's lease runs out by itself: %s", error)
        self._line.close()

    def _register(self) -> None:
        self._worker_id = register_worker(
            self._line,
            environment_id=self._environment_id,
            name=f"{socket.gethostname()}:{os.getpid()}",
            worker_queues=(),
            task_ids=[task.id for task in registry],
            pool=POOL,
            slots=0,
            lease_seconds=self._lease_seconds,
        )
        self._renewed_at = time.monotonic()

    def _sweep(self) -> float:
        self._renew()
        due = what_is_due(self._line, environment_id=self._environment_id)
        for worker_queue in {*due.claimable, *due.hook_calls}:
            wakeups.ring(worker_queue)
        did_something = False
        if due.has_schedules:
            fired = fire_due(self._line, environment_id=self._environment_id)
            _ring(fired)
            did_something = bool(fired)
        if due.has_timed and self._queue():
            did_something = True
        if due.has_expiring and self._expire():
            did_something = True
        if due.has_waiting and self._admit_waiting():
            did_something = True
        # At the end: it may wait for a run that somebody else has locked, and give up.
        if due.has_lost_workers and self._recover():
            did_something = True
        if did_something:
            return 0.0
        return TICK_SECONDS if due.seconds_until_next is None else due.seconds_until_next

    def _queue(self) -> bool:
        queued = queue_due(self._line, environment_id=self._environment_id)
        _ring(queued.claimable)
        self._admit(queued.waiting)
        return bool(queued.count)

    def _expire(self) -> bool:
        expired = expire_due(self._line, environment_id=self._environment_id)
        _ring(expired.hooked)
        self._admit(expired.freed)
        return bool(expired.count)

    def _admit(self, queues: Mapping[str, Collection[str]]) -> None:
        for queue, keys in sorted(queues.items()):
            _ring(admit(self._line, self._environment_id, queue, freed=keys))

    def _admit_waiting(self) -> bool:
        swept = admit_waiting(self._line, self._environment_id, after=self._swept_to)
        self._swept_to = swept.goes_on_after
        _ring(swept.admitted)
        return bool(swept.admitted)

    def _recover(self) -> bool:
        recovered = recover_lost_workers(self._line)
        if recovered.claims:
            _log.warning(
                "Lost workers: %s runs are retried, %s crashed, %s given back.",
                len(recovered.retried),
                len(recovered.crashed),
                len(recovered.given_back),
            )
        return bool(recovered.claims)

    def _renew(self) -> None:
        if time.monotonic() - self._renewed_at < self._heartbeat_seconds:
            return
        if renew_lease(self._line, self._worker_id, lease_seconds=self._lease_seconds):
            self._renewed_at = time.monotonic()
        else:
            self._register()


def _ring(counts: Mapping[str, int]) -> None:
    for worker_queue, count in counts.items():
        wakeups.ring(worker_queue, count)


def _claim(model: PeriodicTask, was: datetime | None) -> bool:
    """Whether this beat is the one that fires this due time."""
    is_untouched = Q(last_run_at=was) | Q(last_run_at__isnull=True)
    rows = PeriodicTask.objects.filter(is_untouched, pk=model.pk, enabled=True)
    return bool(
        rows.update(last_run_at=model.last_run_at, total_run_count=F("total_run_count") + 1)
    )
