"""One event loop in a thread of its own, for all async code of a process."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine, Generator
from concurrent.futures import Future, wait
from typing import Any

from jobs_platform.domain.errors import MaxDurationExceeded
from jobs_platform.runtime.interrupt import STOPS

LOOK_SECONDS = 0.25
"""How often a waiting thread looks whether its run was cancelled: nothing else can wake it."""


class LoopThread:
    """Runs awaitables for other threads. Started by the first; a forked child starts its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._process_id = 0

    def run(self, awaitable: Awaitable[Any], *, cancelled: threading.Event | None = None) -> Any:
        """The result of `awaitable`; its task is cancelled when this thread is interrupted, or
        `cancelled` gets set, and has ended when this returns."""
        work = _Work(awaitable)
        loop = self._running()
        told = cancelled is not None and cancelled.is_set()  # what comes after that cleans up
        loop.call_soon_threadsafe(work.start, loop)
        while True:
            try:
                return work.done.result(LOOK_SECONDS)
            except TimeoutError:
                if work.done.done():
                    return work.done.result()
            except BaseException as interruption:
                if work.done.done():
                    raise
                # This thread was interrupted. Its run is not over while its coroutine goes on.
                work.end(loop, interruption)
                raise
            if not told and cancelled is not None and cancelled.is_set():
                loop.call_soon_threadsafe(work.cancel)
                told = True

    def stop(self) -> None:
        """End the loop and its thread."""
        with self._lock:
            loop, self._loop = self._loop, None
        if loop is not None:
            loop.call_soon_threadsafe(loop.stop)

    def _running(self) -> asyncio.AbstractEventLoop:
        if self._loop is not None and self._process_id == os.getpid():
            return self._loop
        with self._lock:
            if self._loop is None or self._process_id != os.getpid():
                loop = asyncio.new_event_loop()
                thread = threading.Thread(
                    target=_serve, args=(loop,), name="jobs event loop", daemon=True
                )
                thread.start()
                self._loop, self._process_id = loop, os.getpid()
            return self._loop


class _Work:
    """One awaitable on its way through the loop."""

    __slots__ = ("_awaitable", "_is_overdue", "_task", "done")

    def __init__(self, awaitable: Awaitable[Any]) -> None:
        self._awaitable = awaitable
        self._is_overdue = False
        self._task: asyncio.Task[Any] | None = None
        self.done: Future[Any] = Future()

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._task = loop.create_task(self._steered())
        self._task.add_done_callback(self._finish)

    def cancel(self, reason: BaseException | None = None) -> None:
        """End the task; it sees `MaxDurationExceeded` where that is the reason."""
        if self._task is not None:
            self._is_overdue = isinstance(reason, MaxDurationExceeded)
            self._task.cancel()

    def end(self, loop: asyncio.AbstractEventLoop, interruption: BaseException) -> None:
        """Cancel the task, again at each further interruption, until it has ended somehow."""
        while True:
            try:
                loop.call_soon_threadsafe(self.cancel, interruption)
                while not self.done.done():
                    wait([self.done], LOOK_SECONDS)
                return
            except STOPS as another:
                interruption = another

    async def _steered(self) -> Any:
        return await _Steered(_awaited(self._awaitable), self._shown)

    def _shown(self, error: BaseException) -> BaseException:
        """What the coroutine gets to see where asyncio would cancel it."""
        if self._is_overdue and isinstance(error, asyncio.CancelledError):
            return _OverdueError().with_traceback(error.__traceback__)
        return error

    def _finish(self, task: asyncio.Task[Any]) -> None:
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if isinstance(error, _CarriedError):
            error = error.carried
        if error is None:
            self.done.set_result(task.result())
        else:
            self.done.set_exception(error)


class _OverdueError(MaxDurationExceeded, asyncio.CancelledError):
    """Both at once, so that asyncio's own code treats it as the cancellation that it is."""


_OverdueError.__name__ = _OverdueError.__qualname__ = MaxDurationExceeded.__name__


class _Steered:
    """Awaits a coroutine; what is thrown into it on the way may be exchanged for something else."""

    __slots__ = ("_coroutine", "_exchange")

    def __init__(
        self,
        coroutine: Coroutine[Any, Any, Any],
        exchange: Callable[[BaseException], BaseException],
    ) -> None:
        self._coroutine = coroutine
        self._exchange = exchange

    def __await__(self) -> Generator[Any, Any, Any]:
        coroutine, answer = self._coroutine, None
        thrown: BaseException | None = None
        while True:
            try:
                wanted = coroutine.throw(thrown) if thrown else coroutine.send(answer)
            except StopIteration as end:
                return end.value
            answer = thrown = None
            try:
                answer = yield wanted
            except GeneratorExit:
                coroutine.close()
                raise
            except BaseException as error:  # noqa: BLE001 - it goes on into the coroutine
                thrown = self._exchange(error)


async def _awaited(awaitable: Awaitable[Any]) -> Any:
    try:
        return await awaitable
    except (SystemExit, KeyboardInterrupt) as error:
        # asyncio would take down the loop of all other runs with it.
        raise _CarriedError(error) from error


class _CarriedError(Exception):
    """Carries an exception through the loop that would end with it."""

    def __init__(self, carried: BaseException) -> None:
        super().__init__(str(carried))
        self.carried = carried


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loop.close()
