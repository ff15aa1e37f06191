"""Procrastinate: jobs are rows in Postgres, a job a transaction. Two processes, async tasks."""

from __future__ import annotations

import os
from typing import Any

from procrastinate import App, PsycopgConnector

from benchmarks import meter
from benchmarks.producing import payload

_CHUNK = 1_000

app = App(connector=PsycopgConnector(conninfo=os.environ["DATABASE_URL"]))


@app.task(name="noop")
async def noop(payload: dict[str, Any]) -> None:
    meter.tick(payload["number"])


class Producer:
    """Its synchronous API, as Django projects use it."""

    def __init__(self) -> None:
        app.open()

    def prepare(self) -> None:
        app.schema_manager.apply_schema()
        app.close()

    def fill(self, first: int, count: int) -> None:
        for start in range(first, first + count, _CHUNK):
            numbers = range(start, min(start + _CHUNK, first + count))
            noop.batch_defer(*({"payload": payload(number)} for number in numbers))

    def fill_keys(self, first: int, count: int, keys: int) -> None:
        """Jobs of so many locks in turn; each lock lets one go at a time."""
        for number in range(first, first + count):
            noop.configure(lock=f"key {number % keys}").defer(payload=payload(number))

    def trigger(self, number: int) -> None:
        noop.defer(payload=payload(number))

    def unfinished(self) -> int:
        query = "SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')"
        return int(app.connector.get_sync_connector().execute_query_one(query)["count"])
