"""What the ORM cannot say: one statement a file, its purpose, locks and index on top.

Status words are filled in from the lifecycle: `$to_claim` is the status that the move `claim` leads
to, `$from_claim` the list of those it may start from, `$FINAL` all final ones, `$QUEUED` that one.
A per cent sign outside a parameter is written twice, as for any statement with parameters.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from string import Template

from jobs_platform.domain.lifecycle import FAILURES, FINAL, MOVES, Status


def _quoted(statuses: frozenset[Status]) -> str:
    return ",".join(f"'{status}'" for status in sorted(statuses))


@cache
def _words() -> dict[str, str]:
    words = {status.name: f"'{status}'" for status in Status}
    words["FINAL"] = _quoted(FINAL)
    words["FAILURES"] = _quoted(FAILURES)
    for move in MOVES.values():
        words[f"to_{move.name}"] = f"'{move.target}'"
        words[f"from_{move.name}"] = _quoted(move.sources)
    return words


def functions(name: str) -> str:
    """The text of `NAME.sql` as it is, for a migration that makes its functions."""
    return files(__name__).joinpath(f"{name}.sql").read_text()


@cache
def statement(name: str) -> str:
    """The text of `NAME.sql` without its comments and layout, statuses filled in.

    Short on purpose: psycopg keeps what it has parsed of a statement only up to 4,096 characters,
    and parses a longer one at every call.
    """
    text = files(__name__).joinpath(f"{name}.sql").read_text()
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("--")]
    short = re.sub(r" ?([(),=+<>|]+) ?", r"\1", " ".join(" ".join(lines).split()))
    return Template(short).substitute(_words())
