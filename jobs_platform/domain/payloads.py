"""Values to JSON text and back. Owns what counts as JSON here, the limits, and paths in refusals.

Plain JSON values take one look and one C call; only values that need turning, or that fail, are
walked again with a path. Must not validate against schemas: that is the SDK's.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any, Literal
from uuid import UUID

from jobs_platform.domain.errors import (
    MetadataNotJsonError,
    MetadataTooLargeError,
    NotJsonError,
    OutputNotJsonError,
    OutputTooLargeError,
    PayloadNotJsonError,
    PayloadTooLargeError,
    TooLargeError,
)

What = Literal["payload", "output", "metadata"]

PAYLOAD_LIMIT_BYTES = 3 * 1024 * 1024
OUTPUT_LIMIT_BYTES = 10 * 1024 * 1024
METADATA_LIMIT_BYTES = 256 * 1024
MAX_DEPTH = 200
MAX_INTEGER_DIGITS = 4300
"""Python itself reads no longer integers back."""

_SCALARS = frozenset({str, int, float, bool, type(None)})
_LIMITS: dict[str, int] = {
    "payload": PAYLOAD_LIMIT_BYTES,
    "output": OUTPUT_LIMIT_BYTES,
    "metadata": METADATA_LIMIT_BYTES,
}
_NOT_JSON: dict[str, type[NotJsonError]] = {
    "payload": PayloadNotJsonError,
    "output": OutputNotJsonError,
    "metadata": MetadataNotJsonError,
}
_TOO_LARGE: dict[str, type[TooLargeError]] = {
    "payload": PayloadTooLargeError,
    "output": OutputTooLargeError,
    "metadata": MetadataTooLargeError,
}
_ADVICE = {
    set: "a set has no order; pass a sorted list",
    frozenset: "a set has no order; pass a sorted list",
    bytes: "bytes are not text; decode them, or encode them as base64",
    bytearray: "bytes are not text; decode them, or encode them as base64",
}
_SURROGATE = re.compile("[\ud800-\udfff]")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_dumps = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":")
).encode


def to_json(value: Any, *, what: What = "payload", limit_bytes: int | None = None) -> str:
    """JSON text of `value`, storable in PostgreSQL; a `DataError` with the path otherwise."""
    text = _fast(value)
    if text is None:
        text = _dumps(to_plain(value, what=what))
    limit = _LIMITS[what] if limit_bytes is None else limit_bytes
    size = len(text)
    if not text.isascii():
        size = len(text.encode())
    if size > limit:
        raise _TOO_LARGE[what](size=size, limit=limit)
    return text


def to_plain(value: Any, *, what: What = "payload") -> Any:
    """A copy of `value` made of JSON types only, as a round trip would give it."""
    return _Walk(what).plain(value, "", 0)


def from_json(text: str, *, what: What = "payload") -> Any:
    """The value of a JSON text."""
    try:
        return json.loads(text)
    except RecursionError:
        raise _NOT_JSON[what](path=what, reason="it is nested too deeply") from None
    except ValueError as error:
        raise _NOT_JSON[what](path=what, reason=f"the text is not JSON ({error})") from None


def make_storable(text: str, *, limit: int | None = None) -> str:
    """`text` with what PostgreSQL cannot store replaced by U+FFFD, cut to `limit` characters.

    For diagnostics only (log lines, error messages), where losing a character beats losing the
    line.
    """
    if limit is not None and len(text) > limit:
        note = f"… ({len(text) - limit:,} more characters)"
        text = text[: max(0, limit - len(note))] + note
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def _fast(value: Any) -> str | None:
    """The text of a value that is JSON already; None when it needs the walk."""
    try:
        if not _is_plain(value, MAX_DEPTH):
            return None
        text = _dumps(value)
    except (ValueError, RecursionError):
        return None
    if "\\u0000" in text or not (text.isascii() or _SURROGATE.search(text) is None):
        return None  # Perhaps; the walk tells a NUL from a backslash that somebody wrote.
    return text


def _is_plain(value: Any, depth: int) -> bool:
    kind = type(value)
    if kind in _SCALARS:
        return True
    if depth == 0:
        return False
    if kind is dict:
        for key, item in value.items():
            if type(key) is not str:
                return False
            if type(item) not in _SCALARS and not _is_plain(item, depth - 1):
                return False
        return True
    if kind is list:
        for item in value:
            if type(item) not in _SCALARS and not _is_plain(item, depth - 1):
                return False
        return True
    return False


class _Walk:
    """One slow pass over a value, which knows where it is."""

    def __init__(self, what: What) -> None:
        self.what = what
        self.inside: dict[int, str] = {}

    def plain(self, value: Any, path: str, depth: int) -> Any:
        if isinstance(value, Enum):
            value = value.value
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self._text(value, path)
        if isinstance(value, int):
            return self._integer(value, path)
        if isinstance(value, float):
            if not math.isfinite(value):
                self._refuse(path, f"{_float_name(value)} is not JSON")
            return float(value)
        if isinstance(value, datetime | date | time):
            return value.isoformat()
        if isinstance(value, UUID):
            return str(value)
        if isinstance(value, Decimal):
            if not value.is_finite():
                self._refuse(path, f"Decimal {value} is not JSON")
            return str(value)
        return self._container(value, path, depth)

    def _container(self, value: Any, path: str, depth: int) -> Any:
        if id(value) in self.inside:
            first = self.inside[id(value)]
            self._refuse(path, f"refers back to {self.what}{first}, which never ends")
        if depth >= MAX_DEPTH:
            self._refuse(path, f"is nested deeper than {MAX_DEPTH} levels")
        self.inside[id(value)] = path
        try:
            if isinstance(value, dict):
                items = self._items(value, path)
                return {key: self.plain(item, at, depth + 1) for key, item, at in items}
            if isinstance(value, list | tuple):
                return [
                    self.plain(item, f"{path}[{index}]", depth + 1)
                    for index, item in enumerate(value)
                ]
            return self.plain(self._opened(value, path), path, depth + 1)
        finally:
            del self.inside[id(value)]

    def _items(self, value: dict[Any, Any], path: str) -> Iterator[tuple[str, Any, str]]:
        for key, item in value.items():
            if not isinstance(key, str):
                kind = type(key).__name__
                reason = f'the key {key!r} is {kind}, but JSON keys are text: write "{key}"'
                self._refuse(path, reason)
            name = str(key.value) if isinstance(key, Enum) else str(key)
            simple = _IDENTIFIER.fullmatch(name) is not None
            at = f"{path}.{name}" if simple else f"{path}[{json.dumps(name[:80])}]"
            yield self._text(name, at), item, at

    def _opened(self, value: Any, path: str) -> Any:
        """The fields of a pydantic model or a dataclass."""
        kind = type(value)
        if hasattr(kind, "model_dump") and not isinstance(value, type):
            try:
                return value.model_dump(mode="json", round_trip=self.what == "payload")
            except (TypeError, ValueError, RecursionError) as error:
                self._refuse(path, f"{kind.__name__} cannot be serialised ({error})")
        if is_dataclass(value) and not isinstance(value, type):
            return {item.name: getattr(value, item.name) for item in fields(value)}
        advice = next((_ADVICE[base] for base in kind.__mro__ if base in _ADVICE), None)
        return self._refuse(path, advice or f"{kind.__name__} is not JSON")

    def _text(self, value: str, path: str) -> str:
        if "\0" in value:
            self._refuse(path, "has a NUL character, which PostgreSQL cannot store")
        if not value.isascii() and (found := _SURROGATE.search(value)):
            self._refuse(path, f"has half a surrogate pair ({found[0]!a}), not valid Unicode")
        return str.__str__(value)

    def _integer(self, value: int, path: str) -> int:
        digits = int(value.bit_length() * math.log10(2)) + 1
        if digits > MAX_INTEGER_DIGITS:
            self._refuse(path, f"is an integer of about {digits:,} digits; pass it as text")
        return int(value)

    def _refuse(self, path: str, reason: str) -> Any:
        raise _NOT_JSON[self.what](path=f"{self.what}{path}", reason=reason)


def _float_name(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"
