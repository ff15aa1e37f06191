"""pgqueuer: the fastest peer that stores anything. Two processes, asyncpg, batches of 64."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from pgqueuer import AsyncpgDriver, Job, PgQueuer, Queries, run

from benchmarks import meter
from benchmarks.producing import payload

_DATABASE = os.environ["DATABASE_URL"]
_CHUNK = 1_000
_BATCH = 64


@asynccontextmanager
async def worker() -> AsyncIterator[PgQueuer]:
    """The factory that `pgq run` would be given."""
    connection = await asyncpg.connect(_DATABASE)
    queue = PgQueuer(AsyncpgDriver(connection))

    @queue.entrypoint("noop")
    async def noop(job: Job) -> None:
        meter.tick(json.loads(job.payload or b"")["number"])

    try:
        yield queue
    finally:
        await connection.close()


class Producer:
    """Its queries, on an event loop that is kept."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._connection = self._run(asyncpg.connect(_DATABASE))
        self._queries = Queries(AsyncpgDriver(self._connection))

    def prepare(self) -> None:
        self._run(self._queries.install())
        self._run(self._connection.close())

    def fill(self, first: int, count: int) -> None:
        for start in range(first, first + count, _CHUNK):
            numbers = range(start, min(start + _CHUNK, first + count))
            payloads = [json.dumps(payload(number)).encode() for number in numbers]
            names, priorities = ["noop"] * len(payloads), [0] * len(payloads)
            self._run(self._queries.enqueue(names, payloads, priorities))

    def trigger(self, number: int) -> None:
        self._run(self._queries.enqueue("noop", json.dumps(payload(number)).encode()))

    def unfinished(self) -> int:
        return int(self._run(self._connection.fetchval("SELECT count(*) FROM pgqueuer")))

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._runner.run(work)


if __name__ == "__main__":
    # As `pgq run --batch-size 64`, whose --log-level is broken in 1.6.0.
    asyncio.run(run(worker, batch_size=_BATCH))
