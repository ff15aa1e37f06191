"""Notice that processes have ended: at once where the kernel tells (Linux), else at a look."""

from __future__ import annotations

import os
import select
import time

_CAN_WAIT = hasattr(os, "pidfd_open")
_LOOK_SECONDS = 0.05


def exists(process_id: int) -> bool:
    """Whether a process has this id; one of another user counts."""
    if not process_id:
        return False
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class Endings:
    """Processes that somebody waits for. They need not be children."""

    def __init__(self) -> None:
        self._watched: dict[int, int | None] = {}

    def watch(self, process_id: int) -> None:
        """Begin to wait for a process; one that is gone already has ended at the next look."""
        if process_id in self._watched:
            return
        try:
            self._watched[process_id] = os.pidfd_open(process_id) if _CAN_WAIT else None
        except ProcessLookupError:
            self._watched[process_id] = None

    def forget(self, process_id: int) -> None:
        descriptor = self._watched.pop(process_id, None)
        if descriptor is not None:
            os.close(descriptor)

    @property
    def descriptors(self) -> list[int]:
        """To sleep on: each gets ready when its process ends."""
        return [descriptor for descriptor in self._watched.values() if descriptor is not None]

    def ended(self, ready: set[int]) -> list[int]:
        """The processes that have ended, given which descriptors are ready."""
        return [
            process_id
            for process_id, descriptor in self._watched.items()
            if (descriptor in ready if descriptor is not None else not exists(process_id))
        ]

    def wait(self, *, seconds: float) -> None:
        """Sleep until all have ended, or the time is over; then none is waited for any more."""
        deadline = time.monotonic() + seconds
        while self._watched and (left := deadline - time.monotonic()) > 0:
            ready, _, _ = select.select(self.descriptors, [], [], min(left, _LOOK_SECONDS))
            for process_id in self.ended(set(ready)):
                self.forget(process_id)
        for process_id in list(self._watched):
            self.forget(process_id)
