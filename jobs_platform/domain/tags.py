"""Tags of a run: short texts to find runs by. Owns their limits."""

from __future__ import annotations

from collections.abc import Iterable

from jobs_platform.domain.errors import InvalidTagError

MAX_TAGS = 10
MAX_TAG_LENGTH = 128


def check_tags(tags: str | Iterable[str] | None) -> tuple[str, ...]:
    """The tags without repetitions, in order; one text counts as one tag."""
    if tags is None:
        return ()
    if isinstance(tags, str):
        tags = (tags,)
    elif isinstance(tags, bytes | dict) or not isinstance(tags, Iterable):
        raise InvalidTagError(tag=tags, reason=f"is {type(tags).__name__}, not a list of texts")
    unique = tuple(dict.fromkeys(check_tag(tag) for tag in tags))
    if len(unique) > MAX_TAGS:
        reason = f"is one too many ({len(unique)} were given)"
        raise InvalidTagError(tag=unique[MAX_TAGS], reason=reason)
    return unique


def check_tag(tag: str) -> str:
    """`tag` when a run may have it."""
    if not isinstance(tag, str):
        raise InvalidTagError(tag=tag, reason=f"is {type(tag).__name__}, not text")
    if not tag.strip():
        raise InvalidTagError(tag=tag, reason="is empty")
    if len(tag) > MAX_TAG_LENGTH:
        raise InvalidTagError(tag=f"{tag[:40]}…", reason=f"has {len(tag)} characters")
    if "\0" in tag or not _is_unicode(tag):
        raise InvalidTagError(tag=tag, reason="has characters that PostgreSQL cannot store")
    return tag


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
