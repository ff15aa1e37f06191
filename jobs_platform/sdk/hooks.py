"""Hooks: functions of the user around attempts and after runs. Keeps them; the runtime calls them.

| hook | called with | when |
|---|---|---|
| `on_worker_start` | nothing | once per process, before its first run; global only |
| `middleware` | payload, ctx; a generator that yields once | around everything below, per attempt |
| `init` | payload, ctx | before each attempt; its result is `ctx.init` |
| `on_start` | payload, ctx | before the first attempt |
| `on_start_attempt` | payload, ctx | before each attempt |
| `catch_error` | error, ctx | after an attempt raised; its answer decides about the retry |
| `cleanup` | payload, ctx | after each attempt, however it ended |
| `on_wait`, `on_resume` | payload, ctx | around durable waits |
| `on_success` | payload, output, ctx | after COMPLETED is stored |
| `on_failure` | payload, error, ctx | after any other end but CANCELED is stored |
| `on_cancel` | payload, ctx | after CANCELED is stored |
| `on_complete` | payload, ctx | after any end is stored |

Global hooks come before the task's own, except for `catch_error`: there the task is asked first.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from jobs_platform.domain.errors import HookError, close_matches, did_you_mean

Hook = Callable[..., Any]
HookT = TypeVar("HookT", bound=Hook)

ARITY = {
    "init": 2,
    "cleanup": 2,
    "on_start": 2,
    "on_start_attempt": 2,
    "on_wait": 2,
    "on_resume": 2,
    "on_success": 3,
    "on_failure": 3,
    "on_complete": 2,
    "on_cancel": 2,
    "catch_error": 2,
    "middleware": 2,
}
"""How many positional arguments each hook gets."""
WORKER_START = "on_worker_start"
FINAL_HOOKS = ("on_success", "on_failure", "on_cancel", "on_complete")


class HookSet:
    """The hooks of one task, or of all."""

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self._by_name: dict[str, tuple[Hook, ...]] = {}

    def of(self, name: str) -> tuple[Hook, ...]:
        """The functions of one hook, in the order they were added."""
        return self._by_name.get(name, ())

    def has_any(self, names: Iterable[str]) -> bool:
        return any(name in self._by_name for name in names)

    @property
    def is_empty(self) -> bool:
        return not self._by_name

    def add(self, name: str, hook: Hook) -> None:
        """Keep `hook`; adding the same function again changes nothing."""
        check(name, hook, owner=self.owner)
        known = self._by_name.get(name, ())
        if not any(_is_same(hook, other) for other in known):
            self._by_name[name] = (*known, hook)

    def clear(self) -> None:
        self._by_name.clear()


def check(name: str, hook: Hook, *, owner: str) -> None:
    """Refuse a hook that could not be called the way it will be."""
    if name not in ARITY and name != WORKER_START:
        reason = f"does not exist.{did_you_mean(close_matches(name, ARITY))}"
        raise HookError(hook=name, owner=owner, reason=reason.rstrip("."))
    if not callable(hook):
        reason = f"is {type(hook).__name__}, not a function"
        raise HookError(hook=name, owner=owner, reason=reason)
    is_generator = inspect.isgeneratorfunction(hook) or inspect.isasyncgenfunction(hook)
    if is_generator != (name == "middleware"):
        reason = "is a generator, which only middleware is" if is_generator else "must yield once"
        raise HookError(hook=name, owner=owner, reason=reason)
    count = ARITY.get(name, 0)
    try:
        inspect.signature(hook).bind(*[None] * count)
    except TypeError as error:
        reason = f"is called with {count} arguments, but {hook!r} does not take them ({error})"
        raise HookError(hook=name, owner=owner, reason=reason) from None


class Hooks(HookSet):
    """`hooks`: for all tasks. Each method is a decorator, and may be called plainly."""

    def init(self, hook: HookT) -> HookT:
        return self._keep("init", hook)

    def cleanup(self, hook: HookT) -> HookT:
        return self._keep("cleanup", hook)

    def on_start(self, hook: HookT) -> HookT:
        return self._keep("on_start", hook)

    def on_start_attempt(self, hook: HookT) -> HookT:
        return self._keep("on_start_attempt", hook)

    def on_wait(self, hook: HookT) -> HookT:
        return self._keep("on_wait", hook)

    def on_resume(self, hook: HookT) -> HookT:
        return self._keep("on_resume", hook)

    def on_success(self, hook: HookT) -> HookT:
        return self._keep("on_success", hook)

    def on_failure(self, hook: HookT) -> HookT:
        return self._keep("on_failure", hook)

    def on_complete(self, hook: HookT) -> HookT:
        return self._keep("on_complete", hook)

    def on_cancel(self, hook: HookT) -> HookT:
        return self._keep("on_cancel", hook)

    def catch_error(self, hook: HookT) -> HookT:
        return self._keep("catch_error", hook)

    def middleware(self, hook: HookT) -> HookT:
        return self._keep("middleware", hook)

    def _keep(self, name: str, hook: HookT) -> HookT:
        self.add(name, hook)
        return hook


class GlobalHooks(Hooks):
    """The hooks that surround every task."""

    def on_worker_start(self, hook: HookT) -> HookT:
        return self._keep(WORKER_START, hook)


hooks = GlobalHooks("all tasks")


def _is_same(one: Hook, other: Hook) -> bool:
    """Whether both are one function, perhaps from two imports of its module."""
    if one is other:
        return True
    first, second = getattr(one, "__code__", None), getattr(other, "__code__", None)
    if first is None or second is None or "<locals>" in getattr(one, "__qualname__", ""):
        return False
    where = ("co_filename", "co_qualname", "co_firstlineno")
    return all(getattr(first, name) == getattr(second, name) for name in where)
