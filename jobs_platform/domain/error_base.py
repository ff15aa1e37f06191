"""What every error is made of: a message from its docstring, attributes, a code, and suggestions.

Knows no error by name; the tree is in `errors.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, ClassVar, dataclass_transform


def close_matches(text: str, known: Iterable[str]) -> tuple[str, ...]:
    """Up to three known words that `text` may have meant, the nearest first."""
    candidates = {word.lower(): word for word in known}
    return tuple(candidates[word] for word in get_close_matches(text.lower(), candidates, n=3))


def did_you_mean(close: Iterable[str]) -> str:
    """` Did you mean "a" or "b"?`, or nothing."""
    words = [f'"{word}"' for word in close]
    return f" Did you mean {' or '.join(words)}?" if words else ""


class _Attributes(Mapping[str, Any]):
    """The attributes of an error, as `str.format_map` wants them."""

    def __init__(self, error: object) -> None:
        self._error = error

    def __getitem__(self, name: str) -> Any:
        return getattr(self._error, name)

    def __iter__(self) -> Iterator[str]:
        return iter(vars(self._error))

    def __len__(self) -> int:
        return len(vars(self._error))


@dataclass_transform(kw_only_default=True)
class JobsError(Exception):
    """Jobs Platform could not do what it was asked."""

    code: ClassVar[str] = "jobs_error"

    def __init__(self, **fields: Any) -> None:
        for name, value in fields.items():
            setattr(self, name, value)
        self._fields = fields
        template = " ".join((type(self).__doc__ or self.code).split())
        super().__init__(template.format_map(_Attributes(self)))

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self._fields)


def _rebuild(kind: type[JobsError], fields: dict[str, Any]) -> JobsError:
    """Unpickle: errors cross process borders, and keyword arguments do not survive `args`."""
    return kind(**fields)
