"""From an environment's slug to the number that every row carries."""

from __future__ import annotations

from jobs_platform.engine import caller
from jobs_platform.models import Environment
from jobs_platform.sdk import ports

_known: dict[tuple[str, str], int] = {}


def environment_id(slug: str | None = None) -> int:
    """The id of an environment, made when it is new; None means the configured one."""
    wanted = slug or ports.configuration().environment
    key = (str(caller.connection().settings_dict["NAME"]), wanted)
    known = _known.get(key)
    if known is not None:
        return known
    with caller.translated():
        found = Environment.objects.filter(slug=wanted).values_list("id", flat=True).first()
    if found is None:
        return _made(wanted)
    found = int(found)
    if not caller.in_transaction():
        # Inside a transaction the row may be one that a rollback takes away again.
        _known[key] = found
    return found


def forget() -> None:
    """Drop what is remembered; for databases that come and go."""
    _known.clear()


def _made(slug: str) -> int:
    rows = caller.execute("make_environment", {"slug": slug})
    return int(rows[0][0])
