"""Celery as it comes: prefork, Redis, defaults. Stores nothing."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery

from benchmarks import meter
from benchmarks.producing import payload

app = Celery("bench", broker=os.environ["REDIS_URL"])


@app.task(name="noop")
def noop(payload: dict[str, Any]) -> None:
    meter.tick(payload["number"])


class Producer:
    """`.delay()`, or Celery 5.7's pipelined batch."""

    def prepare(self) -> None:
        """There is nothing to make."""

    def fill(self, first: int, count: int) -> None:
        with app.producer_or_acquire() as producer, producer.batch(max_size=1000):
            for number in range(first, first + count):
                noop.apply_async((payload(number),), producer=producer, retry=False)

    def trigger(self, number: int) -> None:
        noop.delay(payload(number))

    def unfinished(self) -> int:
        return 0
