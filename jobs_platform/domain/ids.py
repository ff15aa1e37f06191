"""Identifiers: time-ordered UUIDs inside, prefixed text outside (`run_…`, `batch_…`).

The text is the UUID in Crockford's base 32, so it sorts like the UUID and survives e-mail and URLs.
"""

from __future__ import annotations

import os
import threading
import time
from uuid import UUID

from jobs_platform.domain.errors import InvalidIdError

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_VALUES = {letter: value for value, letter in enumerate(_ALPHABET)}
_LENGTH = 26
_COUNTER_BITS = 12

_lock = threading.Lock()
_last_tick = 0


def new_uuid() -> UUID:
    """A UUID of version 7 (RFC 9562), strictly ascending within this process.

    The twelve bits after the milliseconds hold the fraction of the millisecond, or a count when
    several are made in one such tick, so a batch keeps its order in the primary key.
    """
    global _last_tick  # noqa: PLW0603 - one clock per process
    tick = (time.time_ns() << _COUNTER_BITS) // 1_000_000
    with _lock:
        _last_tick = tick = max(tick, _last_tick + 1)
    milliseconds, fraction = tick >> _COUNTER_BITS, tick & 0xFFF
    tail = int.from_bytes(os.urandom(8)) & ((1 << 62) - 1)
    return UUID(int=milliseconds << 80 | 0x7 << 76 | fraction << 64 | 0b10 << 62 | tail)


def encode(prefix: str, value: UUID) -> str:
    """`run_` and 26 letters."""
    number = value.int
    letters = [_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5)]
    return f"{prefix}_{''.join(letters)}"


def decode(prefix: str, text: str) -> UUID:
    """The UUID of a public id; `InvalidIdError` when it is not one of this kind."""
    start = f"{prefix}_"
    body = text[len(start) :] if isinstance(text, str) else ""
    if not isinstance(text, str) or not text.startswith(start) or len(body) != _LENGTH:
        raise InvalidIdError(prefix=prefix, text=text)
    number = 0
    for letter in body:
        if letter not in _VALUES:
            raise InvalidIdError(prefix=prefix, text=text)
        number = number << 5 | _VALUES[letter]
    if number >> 128:
        raise InvalidIdError(prefix=prefix, text=text)
    return UUID(int=number)
