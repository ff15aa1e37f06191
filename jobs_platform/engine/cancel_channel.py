"""The name under which the engine tells workers that an attempt is to stop."""

CANCEL_CHANNEL = "jobs_cancel"
"""NOTIFY with `RUN_UUID:FENCING_TOKEN`, at the commit of the cancellation."""
