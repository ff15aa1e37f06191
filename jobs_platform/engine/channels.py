"""The names under which Postgres tells listening processes that something happened."""

from __future__ import annotations

from uuid import UUID

CANCEL_CHANNEL = "jobs_cancel"
"""NOTIFY with `RUN_UUID:FENCING_TOKEN`, at the commit of a cancellation: an attempt is to stop."""

DUE_CHANNEL = "jobs_due"
"""NOTIFY without content: something is due before the clock would look by itself."""


def cancelled_attempt(notice: str) -> tuple[UUID, int] | None:
    """Run and fencing token of a notice of cancellation; None where somebody sent something else.

    Any session of the database may send one.
    """
    run_id, _, token = notice.partition(":")
    try:
        return UUID(run_id), int(token)
    except ValueError:
        return None
