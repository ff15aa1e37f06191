"""The second thread of a process that executes runs: what must happen while user code is busy.

Writes finished results and gives back unstarted runs when a neighbour takes long, flushes log
lines, passes on cancellations, stops what has used up its maximum duration, and ends the process
when its lease or its parent is gone. It sees the clock only when user code lets go of the GIL;
where that fails, the keeper steps in.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from uuid import UUID

from jobs_platform.domain.errors import DatabaseUnavailableError
from jobs_platform.engine.channels import CANCEL_CHANNEL, cancelled_attempt
from jobs_platform.engine.line import Line
from jobs_platform.engine.read_attempt import cancelled_attempts
from jobs_platform.runtime.slot import Slot, Surroundings

PATIENCE_SECONDS = 0.05
"""A run that takes longer keeps neither the results before it nor the runs behind it."""
LOG_SECONDS = 0.1
IDLE_SECONDS = 1.0
LOOK_SECONDS = 5.0
"""How often the attempts of long runs are looked up, in case a notice of cancellation was lost."""
LEASE_MARGIN_SECONDS = 1.0

_log = logging.getLogger(__name__)


class Watch:
    """One thread for all slots of its process."""

    def __init__(
        self, slots: Callable[[], list[Slot]], around: Surroundings, *, parent_id: int | None
    ) -> None:
        self._slots = slots
        self._around = around
        self._parent_id = parent_id
        self._line = Line(around.conninfo, application_name="jobs watch")
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        self._looked_at = time.monotonic()
        self._is_over = False
        self._thread = threading.Thread(target=self._run, name="jobs-watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """A slot begins to work: look at it soon."""
        with contextlib.suppress(BlockingIOError):  # it is awake already
            os.write(self._writer, b".")

    def stop(self) -> None:
        self._is_over = True
        self.wake()
        self._thread.join(timeout=5)
        self._line.close()

    def _run(self) -> None:
        while not self._is_over:
            try:
                self._turn()
            except DatabaseUnavailableError:
                self._line.close()
                time.sleep(PATIENCE_SECONDS)
            except Exception:  # noqa: BLE001 - nobody else would guard the lease in this process
                _log.exception("The watch of process %s goes on after an error.", os.getpid())
                time.sleep(PATIENCE_SECONDS)

    def _turn(self) -> None:
        self._guard()
        for slot in self._slots():
            slot.interrupt.stop_overdue()
        is_busy = any(slot.is_draining for slot in self._slots()) or not self._around.logs.is_idle
        self._wait(PATIENCE_SECONDS if is_busy else IDLE_SECONDS)
        for slot in self._slots():
            self._attend(slot)
        environment_id = self._slots()[0].holder.environment_id if self._slots() else 0
        self._around.logs.flush(self._line, environment_id=environment_id)
        self._look_up_long_runs()

    def _guard(self) -> None:
        """Nothing may execute after the lease has ended, or without the process that keeps it."""
        is_orphan = self._parent_id is not None and os.getppid() != self._parent_id
        if is_orphan or time.monotonic() > self._around.board.lease_until - LEASE_MARGIN_SECONDS:
            os.kill(os.getpid(), signal.SIGKILL)

    def _attend(self, slot: Slot) -> None:
        """A run that takes long holds up nobody else, nor do hooks."""
        since = slot.hand.busy_since
        if since is None or time.monotonic() - since < PATIENCE_SECONDS:
            return
        slot.write_outcomes(self._line)
        slot.give_back_unstarted(self._line)

    def _wait(self, seconds: float) -> None:
        """Sleep until a slot wakes us, a notice of cancellation comes, or the time is over."""
        notices, ready = self._line.wait_for_notices(
            CANCEL_CHANNEL, seconds, descriptors=[self._reader]
        )
        if self._reader in ready:
            os.read(self._reader, 4096)
            if not self._is_over:
                # What is finished within the patience needs no second pair of hands.
                more, _ = self._line.wait_for_notices(CANCEL_CHANNEL, PATIENCE_SECONDS)
                notices += more
        for notice in notices:
            attempt = cancelled_attempt(notice)
            if attempt is not None:
                self._cancel(*attempt)

    def _cancel(self, run_id: UUID, fencing_token: int) -> None:
        for slot in self._slots():
            slot.hand.cancel(run_id)
            slot.interrupt.request(run_id, fencing_token)

    def _look_up_long_runs(self) -> None:
        now = time.monotonic()
        if now - self._looked_at < LOOK_SECONDS:
            return
        self._looked_at = now
        long = [
            (current[0].id, current[0].fencing_token)
            for slot in self._slots()
            if (current := slot.hand.current) and now - current[1] > LOOK_SECONDS
        ]
        for run_id, token in cancelled_attempts(self._line, long) if long else ():
            for slot in self._slots():
                slot.interrupt.request(run_id, token)
