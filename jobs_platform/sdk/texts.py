"""Short texts that callers choose: keys of all kinds. Owns what makes one storable."""

from __future__ import annotations

from typing import Any

from jobs_platform.domain.errors import InvalidOptionError


def check_text(option: str, value: Any, *, limit: int) -> str:
    """`value` when it is text of 1 to `limit` characters that PostgreSQL can store."""
    reason = _complaint(value, limit)
    if reason is not None:
        raise InvalidOptionError(option=option, value=value, reason=reason)
    return str(value)


def _complaint(value: Any, limit: int) -> str | None:
    if not isinstance(value, str):
        return f"is {type(value).__name__}, not text"
    if not value.strip():
        return "is empty"
    if len(value) > limit:
        return f"has {len(value):,} characters, which is more than {limit:,}; take a hash of it"
    if "\0" in value or not _is_unicode(value):
        return "has characters that PostgreSQL cannot store"
    return None


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
