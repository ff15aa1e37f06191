"""Rings from a thread of its own, so that whoever triggers does not wait for Redis.

What is asked for while a ring is under way goes out with the next one, so that a thousand triggers
a second cost far fewer rings.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable

PAUSE_SECONDS = 0.005
"""Between two rings; the first after a silence goes out at once."""
LONG_PAUSE_SECONDS = 0.01
"""After a ring that nobody needed: enough wake-ups wait, and whoever takes one finds all runs."""
EXIT_SECONDS = 1.0
"""A process that ends waits so long for its last ring; beyond that the sweep rings."""


class Ringer:
    """Passes wishes on to a ring that may block for a moment and tells whether it was needed."""

    def __init__(self, ring: Callable[[str, int], bool]) -> None:
        self._ring = ring
        self._wishes: dict[str, int] = {}
        self._changed = threading.Condition()
        self._is_ringing = False
        self._is_ending = threading.Event()
        self._thread: threading.Thread | None = None
        atexit.register(self._end)
        os.register_at_fork(after_in_child=self._begin_anew)

    def ring(self, worker_queue: str, wanted: int = 1) -> None:
        """Have it rung soon; one ring serves all who ask for the same queue meanwhile."""
        with self._changed:
            self._wishes[worker_queue] = max(wanted, self._wishes.get(worker_queue, 0))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="jobs-ringer", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def flush(self, seconds: float = EXIT_SECONDS) -> bool:
        """Wait until everything that was asked for has been rung; False when it takes longer."""
        with self._changed:
            return self._changed.wait_for(
                lambda: not self._wishes and not self._is_ringing, timeout=seconds
            )

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._wishes)
                wishes, self._wishes = self._wishes, {}
                self._is_ringing = True
            were_needed = [self._ring(*wish) for wish in wishes.items()]
            with self._changed:
                self._is_ringing = False
                self._changed.notify_all()
            self._is_ending.wait(PAUSE_SECONDS if any(were_needed) else LONG_PAUSE_SECONDS)

    def _end(self) -> None:
        self._is_ending.set()
        self.flush()

    def _begin_anew(self) -> None:
        """In a forked child the thread is gone, and its lock may be held by nobody."""
        self._wishes = {}
        self._changed = threading.Condition()
        self._is_ringing = False
        self._thread = None
