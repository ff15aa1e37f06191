"""Calls hooks, sync and async, and puts middleware around an attempt. Decides nothing."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from jobs_platform.domain.errors import HookError
from jobs_platform.runtime.event_loop import LoopThread
from jobs_platform.runtime.interrupt import STOPS
from jobs_platform.sdk.context import ActiveRun
from jobs_platform.sdk.hooks import Hook, HookSet
from jobs_platform.sdk.logger import SOURCE

_OVER = object()


class HookCalls:
    """The hooks of one attempt: those of all tasks, and the task's own."""

    __slots__ = ("_active", "_for_all", "_loop", "_own")

    def __init__(
        self, for_all: HookSet, own: HookSet | None, active: ActiveRun, loop: LoopThread
    ) -> None:
        self._for_all = for_all
        self._own = own
        self._active = active
        self._loop = loop

    def of(self, name: str) -> tuple[Hook, ...]:
        """The functions of a hook: those for all tasks first."""
        own = self._own.of(name) if self._own is not None else ()
        return self._for_all.of(name) + own

    def call(self, name: str, *arguments: Any) -> None:
        """Call a hook whose exception is the attempt's."""
        for hook in self.of(name):
            self.settle(hook(*arguments))

    def call_safely(self, name: str, *arguments: Any) -> None:
        """Call a hook whose exception becomes a log line and nothing else."""
        for hook in self.of(name):
            try:
                self.settle(hook(*arguments))
            except (Exception, SystemExit) as error:  # noqa: BLE001 - never changes the outcome
                self.report(name, hook, error)

    def call_within(self, limit: AbstractContextManager[None], name: str, *arguments: Any) -> bool:
        """Call a hook safely inside a limit of time; False when that has ended it."""
        try:
            with limit:
                self.call_safely(name, *arguments)
        except STOPS:
            return False
        return True

    def init(self, payload: Any) -> None:
        """Call the `init` hooks; dicts are merged, of other results the last one counts."""
        context = self._active.context
        for hook in self.of("init"):
            result = self.settle(hook(payload, context))
            if isinstance(result, Mapping) and isinstance(context.init, Mapping):
                context.init = {**context.init, **result}
            elif result is not None:
                context.init = result

    def catch_error(self, error: BaseException) -> Any:
        """The first answer: the task is asked first, then the hooks for all."""
        own = self._own.of("catch_error") if self._own is not None else ()
        for hook in own + self._for_all.of("catch_error"):
            answer = self.settle(hook(error, self._active.context))
            if answer is not None:
                return answer
        return None

    def surround(self, payload: Any, inner: Callable[[], Any]) -> Any:
        """Run `inner` inside the middleware, that for all tasks outermost."""
        layers = self.of("middleware")
        if not layers:
            return inner()
        return self._layer(layers, payload, inner)

    def settle(self, result: Any) -> Any:
        """The result itself, or what comes of it on the event loop."""
        if inspect.isawaitable(result):
            return self._loop.run(result, cancelled=self._cancelled)
        return result

    def report(self, name: str, hook: Hook, error: BaseException) -> None:
        where = getattr(hook, "__qualname__", repr(hook))
        message = f"{name} hook {where} raised {type(error).__name__}: {error}"
        self._active.log.add("error", message, None, SOURCE)

    @property
    def _cancelled(self) -> threading.Event | None:
        return self._active.cancelled

    def _layer(self, layers: tuple[Hook, ...], payload: Any, inner: Callable[[], Any]) -> Any:
        if not layers:
            return inner()
        layer = _Layer(layers[0], payload, self._active, self.settle)
        layer.enter()
        try:
            result = self._layer(layers[1:], payload, inner)
        except BaseException as error:
            layer.leave(error)
            raise
        layer.leave(None)
        return result


class _Layer:
    """One middleware: a generator that yields once, sync or async."""

    __slots__ = ("_generator", "_hook", "_settle")

    def __init__(
        self, hook: Hook, payload: Any, active: ActiveRun, settle: Callable[[Any], Any]
    ) -> None:
        self._hook = hook
        self._settle = settle
        self._generator = hook(payload, active.context)

    def enter(self) -> None:
        if self._step(None) is _OVER:
            self._refuse("did not yield: the attempt would never run")

    def leave(self, error: BaseException | None) -> None:
        """Resume it. It sees the error and may raise another, but cannot swallow it."""
        if self._step(error) is not _OVER:
            self._close()
            self._refuse("yielded a second time")

    def _step(self, error: BaseException | None) -> Any:
        generator = self._generator
        try:
            if inspect.isasyncgen(generator):
                step: Awaitable[Any] = (
                    generator.__anext__() if error is None else (generator.athrow(error))
                )
                return self._settle(step)
            return next(generator) if error is None else generator.throw(error)
        except (StopIteration, StopAsyncIteration) as end:
            if end is error:
                raise
            return _OVER

    def _close(self) -> None:
        if inspect.isasyncgen(self._generator):
            self._settle(self._generator.aclose())
        else:
            self._generator.close()

    def _refuse(self, reason: str) -> None:
        owner = getattr(self._hook, "__qualname__", repr(self._hook))
        raise HookError(hook="middleware", owner=owner, reason=reason)
