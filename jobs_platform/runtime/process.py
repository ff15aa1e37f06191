"""What a process of a worker needs to execute runs: slots, one a thread, and a watch over them."""

from __future__ import annotations

import logging
import os
import threading
from dataclasses import dataclass

from jobs_platform.engine.handoff import Holder
from jobs_platform.runtime import interrupt
from jobs_platform.runtime.slot import Slot, Surroundings
from jobs_platform.runtime.stop_signal import handle_stop_signal
from jobs_platform.runtime.watch import Watch

SPARE = 4
"""Places on the board for each pool process: a new child must not overwrite what the keeper still
has to read about the dead one before it."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WorkerIdentity:
    """The worker that this process belongs to."""

    worker_id: int
    environment_id: int
    environment: str


class WorkerProcess:
    """The slots of this process. Made after the fork, in the process that executes."""

    def __init__(
        self,
        identity: WorkerIdentity,
        around: Surroundings,
        *,
        places: range,
        parent_id: int | None,
    ) -> None:
        self._identity = identity
        self._around = around
        self._places = places
        self._slots: dict[int, Slot] = {}
        self._lock = threading.Lock()
        self._watch = Watch(lambda: list(self._slots.values()), around, parent_id=parent_id)
        self._is_started = False
        self._has_children_ids = parent_id is not None
        if self._has_children_ids:
            interrupt.handle_signal()

    def drain(self, worker_queue: str) -> int:
        """Execute what is claimable in this worker queue, in this thread."""
        slot = self._slot()
        self._watch.wake()
        return slot.drain(worker_queue)

    def stop(self) -> None:
        """Let go of connections and places."""
        if self._is_started:
            self._watch.stop()
        for slot in self._slots.values():
            slot.close()

    def _slot(self) -> Slot:
        """The slot of this thread, named by the process in a pool child, else by the thread."""
        slot_id = os.getpid() if self._has_children_ids else threading.get_native_id()
        slot = self._slots.get(slot_id)
        if slot is not None:
            return slot
        with self._lock:
            identity = self._identity
            holder = Holder(
                identity.worker_id, slot_id, identity.environment_id, identity.environment
            )
            self._slots[slot_id] = slot = Slot(holder, self._free_place(), self._around)
            if not self._is_started:
                self._is_started = True
                if self._has_children_ids:
                    handle_stop_signal(self._around.board)
                self._watch.start()
        return slot

    def _free_place(self) -> int:
        for index in self._places:
            if self._around.board.read(index) is None:
                return index
        return self._places[0]
