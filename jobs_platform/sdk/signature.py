"""How a task's function wants to be called. Decides from its signature, at import."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from inspect import Parameter
from typing import Any

from jobs_platform.sdk.context import Context

ALLOWED = "f(), f(payload), f(ctx), f(payload, ctx) or f(payload, *, ctx)"

_POSITIONAL = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
_KEYWORD = Parameter.KEYWORD_ONLY
_CONTEXT_NAMES = ("ctx", "context")

Caller = Callable[[Any, Context], Any]


@dataclass(frozen=True, slots=True)
class Signature:
    """The call shape of a task's function and its annotations."""

    call: Caller
    is_async: bool
    payload_annotation: Any
    return_annotation: Any
    """`Parameter.empty` where there is none, for both."""


class SignatureError(Exception):
    """Why a function cannot be a task; becomes the reason of an InvalidTaskError."""


def read(function: Callable[..., Any], *, local_names: Mapping[str, Any]) -> Signature:
    """The signature of a task's function; `SignatureError` when it is of another kind."""
    _check_kind(function)
    hints = _hints(function, local_names)
    parameters = list(inspect.signature(function).parameters.values())
    payload, context = _roles(parameters, hints)
    return Signature(
        call=_caller(function, has_payload=payload is not None, context=context),
        is_async=inspect.iscoroutinefunction(function),
        payload_annotation=hints.get(payload.name, Parameter.empty) if payload else Parameter.empty,
        return_annotation=hints.get("return", Parameter.empty),
    )


def _check_kind(function: Callable[..., Any]) -> None:
    if not callable(function) or isinstance(function, type):
        kind = "classes" if isinstance(function, type) else type(function).__name__
        reason = f"@task decorates functions, not {kind}"
        raise SignatureError(reason)
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        reason = "it is a generator; return a list, or trigger a run for each item"
        raise SignatureError(reason)


def _hints(function: Callable[..., Any], local_names: Mapping[str, Any]) -> dict[str, Any]:
    """Annotations as types. Names that only type checkers see stay text, which means unchecked."""
    annotations = inspect.get_annotations(inspect.unwrap(function))
    hints: dict[str, Any] = {}
    for name, annotation in annotations.items():
        if not isinstance(annotation, str):
            hints[name] = annotation
            continue
        single = type("_", (), {"__annotations__": {name: annotation}})
        names = getattr(inspect.unwrap(function), "__globals__", {})
        try:
            hints.update(
                typing.get_type_hints(single, dict(names), dict(local_names), include_extras=True)
            )
        except NameError as error:
            if name not in _CONTEXT_NAMES and name != "return":
                reason = f"the annotation {annotation!r} of {name} cannot be resolved ({error})"
                raise SignatureError(reason) from None
    return hints


def _roles(
    parameters: list[Parameter], hints: Mapping[str, Any]
) -> tuple[Parameter | None, Parameter | None]:
    """Which parameter takes the payload, and which the context."""
    payload = context = None
    for parameter in parameters:
        is_context = parameter.name in _CONTEXT_NAMES or hints.get(parameter.name) is Context
        positional = parameter.kind in _POSITIONAL
        if is_context and context is None and (positional or parameter.kind is _KEYWORD):
            context = parameter
        elif not is_context and positional and payload is None and context is None:
            payload = parameter
        else:
            reason = f"its parameter {str(parameter)!r} has no meaning; a task is {ALLOWED}"
            raise SignatureError(reason)
    return payload, context


def _caller(
    function: Callable[..., Any], *, has_payload: bool, context: Parameter | None
) -> Caller:
    if context is None:
        if has_payload:
            return lambda payload, _ctx: function(payload)
        return lambda _payload, _ctx: function()
    if context.kind is _KEYWORD:
        name = context.name
        if has_payload:
            return lambda payload, ctx: function(payload, **{name: ctx})
        return lambda _payload, ctx: function(**{name: ctx})
    if has_payload:
        return function
    return lambda _payload, ctx: function(ctx)
