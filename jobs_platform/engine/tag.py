"""Tags added while a run executes."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from jobs_platform.domain.errors import RunNotFoundError
from jobs_platform.domain.ids import encode
from jobs_platform.engine import caller


def add_tags(run_id: UUID, tags: Iterable[str]) -> None:
    """Add tags that the run does not have yet; the number is checked by the caller."""
    rows = caller.execute("add_tags", {"run_id": run_id, "tags": list(tags)})
    if not rows:
        raise RunNotFoundError(id=encode("run", run_id))
