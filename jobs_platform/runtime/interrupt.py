"""Tell the function that a slot executes to stop: a flag, then an exception.

It was cancelled, or has used up its maximum duration. The exception is raised only inside the
user's frame and only for the attempt that it was meant for; between two runs, or inside the
platform's own code, nothing happens.
"""

from __future__ import annotations

import ctypes
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from jobs_platform.domain.errors import MaxDurationExceeded, RunCancelled

SIGNAL = signal.SIGUSR2
"""Wakes the main thread out of a blocking call; means nothing by itself."""
STOPS = (RunCancelled, MaxDurationExceeded)
"""What is raised in the user's frame."""
NO_ATTEMPT = 0
"""Fencing tokens begin at 1."""


class Interrupt:
    """The cancellation, and the clock, of whatever one slot executes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._attempt: tuple[UUID, int] | None = None
        self._deadline: float | None = None
        self._cause: type[RunCancelled | MaxDurationExceeded] | None = None
        self._thread_id: int | None = None
        self._is_raised = False
        self.cancelled = threading.Event()

    def begin(
        self, run_id: UUID, fencing_token: int, *, max_duration_seconds: float | None = None
    ) -> threading.Event:
        """Another attempt begins; returns the flag that its function may look at."""
        with self._lock:
            self._attempt = (run_id, fencing_token)
            self._cause = self._deadline = None
            if max_duration_seconds is not None:
                self._deadline = time.monotonic() + max_duration_seconds
            if self.cancelled.is_set():
                self.cancelled = threading.Event()
            return self.cancelled

    def end(self) -> None:
        with self._lock:
            self._attempt = None

    def request(self, run_id: UUID, fencing_token: int) -> bool:
        """Cancel this attempt; False when it is not the one that is being executed."""
        with self._lock:
            if self._attempt != (run_id, fencing_token):
                return False
            self._stop(RunCancelled)
            return True

    def stop_overdue(self) -> bool:
        """Stop the attempt if it has used up its maximum duration; False when it has not, or is
        being stopped already."""
        with self._lock:
            if self._attempt is None or self._cause is not None or not self._is_overdue:
                return False
            self._stop(MaxDurationExceeded)
            return True

    @property
    def is_timed_out(self) -> bool:
        """Whether the attempt has used up its time, also where nobody could tell it so."""
        with self._lock:
            return self._cause is MaxDurationExceeded or (self._cause is None and self._is_overdue)

    @contextmanager
    def user_frame(self) -> Iterator[None]:
        """Within, a request raises one of `STOPS` in this thread."""
        with self._lock:
            self._thread_id = threading.get_ident()
            if self._cause is not None:
                self._thread_id = None
                raise self._cause
        try:
            yield
        finally:
            self._leave()

    @contextmanager
    def limited(self, run_id: UUID, seconds: float) -> Iterator[None]:
        """A user's frame of so many seconds that belongs to no attempt: a final hook."""
        self.begin(run_id, NO_ATTEMPT, max_duration_seconds=seconds)
        try:
            with self.user_frame():
                yield
        finally:
            self.end()

    @property
    def _is_overdue(self) -> bool:
        return self._deadline is not None and time.monotonic() >= self._deadline

    def _stop(self, cause: type[RunCancelled | MaxDurationExceeded]) -> None:
        self._cause = cause
        self.cancelled.set()
        self._raise(cause)

    def _leave(self) -> None:
        """From here on nothing is raised any more; what is on its way is taken back."""
        while True:
            try:
                with self._lock:
                    thread_id, self._thread_id = self._thread_id, None
                    if thread_id is not None and self._is_raised:
                        # Only then: taking back nothing slows the interpreter down for good.
                        self._is_raised = False
                        _set_exception(thread_id, None)
                return
            except STOPS:
                continue

    def _raise(self, cause: type[RunCancelled | MaxDurationExceeded]) -> None:
        if self._thread_id is None:
            return
        self._is_raised = True
        _set_exception(self._thread_id, cause)
        if self._thread_id == threading.main_thread().ident and _is_handled():
            signal.pthread_kill(self._thread_id, SIGNAL)


def handle_signal() -> None:
    """Let the signal interrupt blocking calls of the main thread. Call it there."""
    signal.signal(SIGNAL, _wake)


def _wake(number: int, frame: object) -> None:
    """Being called is enough: the pending exception is raised as soon as bytecode runs."""


def _is_handled() -> bool:
    return signal.getsignal(SIGNAL) is _wake


def _set_exception(thread_id: int, exception: type[BaseException] | None) -> None:
    value = ctypes.py_object(exception) if exception else None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread_id), value)
