"""A vendor takes so many calls a second: the queue lets no more runs start than that.

    python manage.py trigger geocode --payload '{"address": "1 Infinite Loop"}' --wait

    >>> from jobs_platform import runs
    >>> from tasks.examples.rate_limited_api import geocode, vendor
    >>> batch = geocode.batch_trigger([{"address": f"{number} Main Street"} for number in range(7)])
    >>> all(runs.poll(run).is_success for run in batch)
    True
    >>> vendor.refused
    0

The other runs wait, and hold neither a worker nor a slot; they start in their order as the window
lets them. `RateLimit(5, "1s", per_key=True)` counts for each concurrency key, where every tenant
has an account of its own. A run that makes three calls says so:
`geocode.trigger(…, rate_weight=3)`.

The window slides: in no second do more than five start. What is counted are starts, and a call
comes a moment after its start, later on a busy machine. So the limit is half of what the vendor
takes: then calls may be late by as much as a second without ever being refused. And because
somebody else may use the same account, a refusal is waited for all the same, as in smart_retry.py.
"""

import threading
import time
from collections import deque
from typing import Any, Protocol

from pydantic import BaseModel, Field

from jobs_platform import Context, Queue, RateLimit, Retry, task

VENDOR_CALLS_PER_SECOND = 10
GEOCODING = Queue("geocoding", rate_limit=RateLimit(VENDOR_CALLS_PER_SECOND // 2, "1s"))


class TooManyCallsError(Exception):
    """The vendor said 429, and when to come back."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"Too many calls; come back in {seconds:.3f} s.")
        self.seconds = seconds


class Geocoder(Protocol):
    """What the task needs of the vendor."""

    refused: int

    def locate(self, address: str) -> tuple[float, float]:
        """Latitude and longitude; `TooManyCallsError`."""
        ...


class InventedGeocoder:
    """Stands in for the vendor, and is as strict: it refuses what is beyond its limit."""

    def __init__(self, calls: int = VENDOR_CALLS_PER_SECOND, seconds: float = 1.0) -> None:
        self.calls, self.seconds = calls, seconds
        self.answered = self.refused = 0
        self._recent: deque[float] = deque(maxlen=calls)
        self._lock = threading.Lock()

    def locate(self, address: str) -> tuple[float, float]:
        now = time.monotonic()
        with self._lock:
            if len(self._recent) == self.calls and now - self._recent[0] < self.seconds:
                self.refused += 1
                raise TooManyCallsError(self.seconds - (now - self._recent[0]))
            self._recent.append(now)
            self.answered += 1
        return len(address) % 90, sum(map(ord, address)) % 180


vendor: Geocoder = InventedGeocoder()


class Place(BaseModel):
    address: str = Field(min_length=1, max_length=500)


@task(id="geocode", queue=GEOCODING, retry=Retry(max_attempts=5))
def geocode(payload: Place) -> dict[str, float]:
    """Find out where an address is."""
    latitude, longitude = vendor.locate(payload.address)
    return {"latitude": latitude, "longitude": longitude}


@geocode.catch_error
def come_back_later(error: Exception, ctx: Context) -> Any:
    """None leaves the decision to the task's own `retry`."""
    return Retry.after(error.seconds) if isinstance(error, TooManyCallsError) else None
