"""Committed rows, for the snippets that execute runs."""

from tests.world import transactional_db as transactional_db  # noqa: PLC0414
