"""`typing.TypedDict` for pydantic on Python 3.11, where it only takes that of typing_extensions."""

from __future__ import annotations

import sys
import types
from functools import reduce
from operator import or_
from typing import Any, NotRequired, Required, Union, get_args, get_origin, get_type_hints

import typing_extensions


def is_typed_dict(annotation: Any) -> bool:
    return typing_extensions.is_typeddict(annotation)


def portable(annotation: Any) -> Any:
    """The annotation, with every `typing.TypedDict` in it replaced by its twin."""
    if sys.version_info >= (3, 12):
        return annotation
    if is_typed_dict(annotation):
        is_twin = type(annotation).__module__ == typing_extensions.__name__
        return annotation if is_twin else _twin(annotation)
    given = get_args(annotation)
    arguments = tuple(portable(part) for part in given)
    if all(one is other for one, other in zip(arguments, given, strict=True)):
        return annotation
    origin: Any = get_origin(annotation)
    if origin in (Union, types.UnionType):
        return reduce(or_, arguments)
    return origin[arguments]


def _twin(annotation: Any) -> Any:
    hints = get_type_hints(annotation, include_extras=False)
    required = annotation.__required_keys__
    fields = {
        name: Required[portable(hint)] if name in required else NotRequired[portable(hint)]
        for name, hint in hints.items()
    }
    make: Any = typing_extensions.TypedDict
    return make(annotation.__name__, fields)
