"""Values as people read them, as plain text: durations, sizes, JSON, public ids."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from jobs_platform.domain.errors import InvalidIdError
from jobs_platform.domain.ids import decode

SHOWN_CHARACTERS = 64 * 1024
"""How much of one value a page shows."""

_STEPS = ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s"))
_SIZES = ("B", "KB", "MB", "GB", "TB")


def duration_text(seconds: float) -> str:
    """`38 ms`, `4.2 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`."""
    if seconds < 0:
        return f"-{duration_text(-seconds)}"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for size, unit, smaller, smaller_unit in _STEPS:
        if whole >= size:
            rest = whole % size // smaller
            tail = f" {rest} {smaller_unit}" if rest else ""
            return f"{whole // size} {unit}{tail}"
    return f"{whole} s"


def size_text(size: int) -> str:
    """Bytes in powers of 1,024: `512 B`, `64 KB`, `12.4 MB`."""
    amount, steps = float(size), 0
    while amount >= 1024 and steps < len(_SIZES) - 1:
        amount, steps = amount / 1024, steps + 1
    return f"{amount:.1f}".removesuffix(".0") + f" {_SIZES[steps]}"


def pretty_json(text: str) -> str:
    """Indented JSON; the text as it is where that cannot be made or would be far longer."""
    try:
        pretty = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text
    return pretty if len(pretty) <= 4 * SHOWN_CHARACTERS else text


def pairs(text: str | None) -> list[tuple[str, str]]:
    """The members of a JSON object as text; anything else, or a cut text, as one unnamed value."""
    if not text or text in ("null", "{}"):
        return []
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        return [("", text)]
    return [
        (name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
        for name, value in found.items()
    ]


def read_id(prefix: str, text: str) -> UUID | None:
    """The UUID in a public id (`run_…`) or in a UUID's own text; None for anything else."""
    wanted = text.strip().lower()
    try:
        return decode(prefix, wanted) if wanted.startswith(f"{prefix}_") else UUID(wanted)
    except (InvalidIdError, ValueError):
        return None
