"""Payloads and outputs against their declared types, by pydantic. Owns the words of refusals."""

from __future__ import annotations

import typing
from dataclasses import is_dataclass
from inspect import Parameter
from typing import Any

from pydantic import BaseModel, PydanticUserError, TypeAdapter
from pydantic import ValidationError as PydanticError

from jobs_platform.domain.errors import OutputValidationError, PayloadValidationError
from jobs_platform.domain.payloads import from_json, to_json
from jobs_platform.sdk.typed_dicts import is_typed_dict, portable

_UNCHECKED = (Parameter.empty, Any, object)


class SchemaError(Exception):
    """Why a type cannot be a schema; becomes the reason of an InvalidTaskError."""


class PayloadSchema:
    """Turns payloads into JSON text at the trigger, and back into values at the start."""

    __slots__ = ("_adapter", "task_id")

    def __init__(self, annotation: Any, *, task_id: str) -> None:
        self.task_id = task_id
        self._adapter = None if _is_one_of(annotation, _UNCHECKED) else _adapter(annotation)

    def dump(self, payload: Any) -> str:
        """JSON text of a payload that fits; a `PayloadError` otherwise."""
        text = to_json(payload)
        if self._adapter is not None:
            self.load(text)
        return text

    def load(self, text: str) -> Any:
        """The value that the function gets."""
        if self._adapter is None:
            return from_json(text)
        try:
            return self._adapter.validate_json(text, by_alias=True, by_name=True)
        except PydanticError as error:
            problems = _problems(error, "payload")
            raise PayloadValidationError(task_id=self.task_id, problems=problems) from None

    def json_schema(self) -> dict[str, Any] | None:
        """For forms and documentation; None when anything goes or no schema can be made."""
        if self._adapter is None:
            return None
        try:
            return self._adapter.json_schema()
        except PydanticUserError:
            return None


class OutputSchema:
    """Turns what a function returned into JSON text."""

    __slots__ = ("_adapter", "task_id")

    def __init__(self, annotation: Any, *, task_id: str) -> None:
        self.task_id = task_id
        self._adapter = _adapter(annotation) if _names_a_model(annotation) else None

    def dump(self, output: Any) -> str:
        """JSON text of an output that fits; an `OutputError` otherwise."""
        if self._adapter is None:
            return to_json(output, what="output")
        try:
            value = self._adapter.validate_python(output, by_alias=True, by_name=True)
        except PydanticError as error:
            problems = _problems(error, "output")
            raise OutputValidationError(task_id=self.task_id, problems=problems) from None
        return to_json(self._adapter.dump_python(value, mode="json"), what="output")


def _adapter(annotation: Any) -> TypeAdapter[Any]:
    if isinstance(annotation, TypeAdapter):
        return annotation
    try:
        return TypeAdapter(portable(annotation))
    except PydanticUserError as error:
        first_line = str(error).splitlines()[0]
        reason = f"{annotation!r} cannot be validated ({first_line})"
        raise SchemaError(reason) from None


def _is_one_of(annotation: Any, others: tuple[Any, ...]) -> bool:
    return any(annotation is other for other in others)


def _names_a_model(annotation: Any) -> bool:
    """Whether a type is, or holds, something with declared fields."""
    if isinstance(annotation, type):
        if issubclass(annotation, BaseModel) or is_dataclass(annotation):
            return True
        if is_typed_dict(annotation):
            return True
    if isinstance(annotation, TypeAdapter):
        return True
    return any(_names_a_model(part) for part in typing.get_args(annotation))


def _problems(error: PydanticError, root: str) -> tuple[str, ...]:
    return tuple(
        f"{_path(root, problem['loc'])}: {problem['msg']}"
        for problem in error.errors(include_url=False, include_context=False, include_input=False)
    )


def _path(root: str, location: tuple[int | str, ...]) -> str:
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return root + "".join(parts)
