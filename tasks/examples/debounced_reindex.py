"""Many changes, one run: the index is made anew once it has become quiet.

    python manage.py trigger reindex --payload '{"source": "airports"}' --wait

    >>> from jobs_platform import runs
    >>> from tasks.examples.debounced_reindex import has_changed
    >>> handles = [has_changed("airports", row=row) for row in ("EGLL", "EDDB", "KJFK")]
    >>> len({handle.id for handle in handles}), [handle.is_cached for handle in handles]
    (1, [False, True, True])
    >>> runs.retrieve(handles[0]).status
    <Status.DELAYED: 'DELAYED'>
    >>> runs.poll(handles[0]).output
    {'source': 'airports', 'rows': 0, 'because_of': 'KJFK'}

Every trigger with the key pushes the one run of that key back by the delay. With `mode="trailing"`,
the default, it is given the payload of the last trigger, with "leading" that of the first.
`max_delay` is how long the run may be pushed back altogether, or a busy day would never see an
index. When it has been queued, the next trigger makes the next run: no change is lost.

The difference to an idempotency key: that keeps the *first* trigger and ignores those that come
later; a debounce waits for the *last*.
"""

from typing import Any

from pydantic import BaseModel, Field

from jobs_platform import Debounce, Queue, RunHandle, logger, task
from tasks.models import ImportedRow

QUIET = "300ms"
AT_LATEST = "5s"

index: dict[str, list[str]] = {}
"""Stands in for the search engine."""


class Change(BaseModel):
    source: str = Field(min_length=1, max_length=200)
    row: str | None = Field(None, description="What has changed, for the log.")


def has_changed(source: str, *, row: str | None = None) -> RunHandle:
    """Call it after every change, for instance in `post_save`."""
    debounce = Debounce(source, QUIET, max_delay=AT_LATEST)
    return reindex.trigger({"source": source, "row": row}, debounce=debounce)


@task(id="reindex", queue=Queue("reindex", concurrency_limit=1))
def reindex(payload: Change) -> dict[str, Any]:
    """Read all rows of a data set into the index."""
    rows = ImportedRow.objects.filter(source=payload.source)
    index[payload.source] = list(rows.order_by("key").values_list("key", flat=True))
    logger.info("Indexed", source=payload.source, rows=len(index[payload.source]))
    return {
        "source": payload.source,
        "rows": len(index[payload.source]),
        "because_of": payload.row,
    }
