"""Keeps programs running: starts them, again after a crash, anew on request, and stops them in
time.

All decisions are taken in the thread that calls `run`; other threads and signals only put events
into its inbox.
"""

from __future__ import annotations

import queue
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

from jobs_platform.management.child import Child, Program, Write
from jobs_platform.management.guard import Guard

STOP_SECONDS = 10.0
"""From the end's SIGTERM to SIGKILL."""
ORPHAN_SECONDS = 5.0
"""The same after a kill -9 of this process; the embedded servers have gone with it."""
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 10.0
HEALTHY_SECONDS = 10.0
"""A child that lived so long begins again with the first pause."""
_ROUND_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class _Exited:
    child: Child


@dataclass(frozen=True, slots=True)
class _Restart:
    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Stop:
    pass


class _Place:
    """A program, the child that runs it now, and when it is started again."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.child: Child | None = None
        self.start_at: float | None = 0.0
        self.pause = FIRST_PAUSE_SECONDS
        self.crashes = 0


class Supervisor:
    """Runs `programs` until it is told to stop.

    `every_second` is called about once a second from the thread of `run`. A replaced child may go
    on with what it does for `restart_patience_seconds`, beside its successor.
    """

    def __init__(
        self,
        programs: Sequence[Program],
        *,
        write: Write,
        restart_patience_seconds: float = STOP_SECONDS,
        every_second: Callable[[], None] = lambda: None,
    ) -> None:
        self._places = {program.name: _Place(program) for program in programs}
        self._replaced: set[Child] = set()
        self._inbox: queue.SimpleQueue[_Exited | _Restart | _Stop] = queue.SimpleQueue()
        self._write = write
        self._restart_patience = restart_patience_seconds
        self._every_second = every_second
        self._guard = Guard(patience_seconds=ORPHAN_SECONDS)
        self._is_stopping = False

    def stop(self) -> None:
        """From any thread: end everything; the second time without patience."""
        self._inbox.put(_Stop())

    def restart(self, names: Iterable[str]) -> None:
        """From any thread: replace these programs' children; unknown names are nobody's."""
        self._inbox.put(_Restart(frozenset(names)))

    def crashes(self) -> dict[str, int]:
        """How often each program has ended by itself."""
        return {name: place.crashes for name, place in self._places.items()}

    def run(self, story: Callable[[], None] = lambda: None) -> None:
        """Start everything, tell `story` in a thread beside it, return when all is stopped.

        What `story` raises ends everything and is raised here.
        """
        failures: list[BaseException] = []
        teller = threading.Thread(
            target=self._tell, args=(story, failures), name="story", daemon=True
        )
        with self._signals():
            try:
                self._start_due()
                teller.start()
                while not self._is_stopping:
                    self._round()
            finally:
                self._stop_all()
                self._guard.dismiss()
        if failures:
            raise failures[0]

    def _tell(self, story: Callable[[], None], failures: list[BaseException]) -> None:
        try:
            story()
        except BaseException as error:  # noqa: BLE001 - raised again by `run`
            failures.append(error)
            self.stop()

    def _round(self) -> None:
        """Handle one event, or let a second pass; then start what is due."""
        try:
            event = self._inbox.get(timeout=self._seconds_to_wait())
        except queue.Empty:
            self._every_second()
        else:
            self._handle(event)
        if not self._is_stopping:
            self._start_due()
            self._kill_overdue()

    def _handle(self, event: _Exited | _Restart | _Stop) -> None:
        match event:
            case _Stop():
                self._is_stopping = True
            case _Exited(child):
                self._bury(child)
            case _Restart(names):
                for name in names & self._places.keys():
                    self._replace(self._places[name])

    def _start_due(self) -> None:
        now = time.monotonic()
        for place in self._places.values():
            if place.start_at is not None and place.start_at <= now:
                place.start_at = None
                place.child = Child(
                    place.program,
                    write=self._write,
                    on_exit=lambda child: self._inbox.put(_Exited(child)),
                )
                self._tell_guard()

    def _replace(self, place: _Place) -> None:
        if place.child is not None:
            place.child.stop(patience_seconds=self._restart_patience)
            self._replaced.add(place.child)
            place.child = None
        place.start_at, place.pause = time.monotonic(), FIRST_PAUSE_SECONDS

    def _bury(self, child: Child) -> None:
        self._replaced.discard(child)
        place = self._places[child.program.name]
        if place.child is child:
            place.child = None
            self._after_crash(place, child)
        self._tell_guard()

    def _after_crash(self, place: _Place, child: Child) -> None:
        if child.program.is_foreground:
            self._is_stopping = True
            return
        lived = time.monotonic() - child.started_at
        if lived > HEALTHY_SECONDS:
            place.pause = FIRST_PAUSE_SECONDS
        place.crashes += 1
        place.start_at = time.monotonic() + place.pause
        self._write(place.program.name, f"{_ending(child)}; again in {place.pause:g} s")
        place.pause = min(place.pause * 2, LONGEST_PAUSE_SECONDS)

    def _seconds_to_wait(self) -> float:
        moments = [place.start_at for place in self._places.values() if place.start_at is not None]
        moments += [child.kill_at for child in self._replaced if child.kill_at is not None]
        ahead = min(moments, default=float("inf")) - time.monotonic()
        return max(0.0, min(_ROUND_SECONDS, ahead))

    def _kill_overdue(self) -> None:
        for child in self._alive():
            if child.kill_at is not None and child.kill_at <= time.monotonic():
                child.kill()

    def _stop_all(self) -> None:
        self._is_stopping = True
        for child in self._alive():
            child.stop(patience_seconds=STOP_SECONDS)
        while alive := self._alive():
            try:
                event = self._inbox.get(timeout=0.1)
            except queue.Empty:
                self._kill_overdue()
                continue
            if isinstance(event, _Stop):
                for child in alive:
                    child.kill()
            elif isinstance(event, _Exited):
                self._forget(event.child)

    def _forget(self, child: Child) -> None:
        self._replaced.discard(child)
        place = self._places[child.program.name]
        if place.child is child:
            place.child = None
        self._tell_guard()

    def _alive(self) -> list[Child]:
        current = [place.child for place in self._places.values() if place.child is not None]
        return [*current, *self._replaced]

    def _tell_guard(self) -> None:
        self._guard.watch(child.pid for child in self._alive())

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Ctrl-C and SIGTERM stop everything instead of raising somewhere.

        Where a child has the terminal, Ctrl-C is the child's alone: a debugger wants it.
        """
        has_foreground = any(place.program.is_foreground for place in self._places.values())

        def stop(number: int, _frame: FrameType | None) -> None:
            if number != signal.SIGINT or not has_foreground:
                self.stop()

        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        former: dict[int, Any] = {number: signal.signal(number, stop) for number in numbers}
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)


def _ending(child: Child) -> str:
    code = child.exit_code or 0
    if code < 0:
        return f"ended by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"
