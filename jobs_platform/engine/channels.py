"""The names under which Postgres tells listening processes that something happened."""

CANCEL_CHANNEL = "jobs_cancel"
"""NOTIFY with `RUN_UUID:FENCING_TOKEN`, at the commit of a cancellation: an attempt is to stop."""

DUE_CHANNEL = "jobs_due"
"""NOTIFY without content: something is due before the clock would look by itself."""
