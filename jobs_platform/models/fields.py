"""Column types that Django lacks."""

from __future__ import annotations

from typing import Any

from django.db import models


class VerbatimJSONField(models.JSONField):
    """JSON kept as the text that was written (`json`, not `jsonb`).

    Numbers come back with the type they went in with (jsonb turns 1e20 into an integer), key order
    stays, and writing costs no re-encoding. Cast to jsonb in a query that looks inside.
    """

    def db_type(self, connection: Any) -> str:
        return "json"

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        """The driver reads `json` by itself; only text (a cast, a key) is still to be read."""
        return (
            super().from_db_value(value, expression, connection)
            if isinstance(value, str)
            else value
        )
