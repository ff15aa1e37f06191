"""Ring for workers: put messages that say "there is work" into a worker queue's list in Redis.

Owns the names of the lists and the envelope. A ring never raises and never blocks for long: a lost
one is made good by the sweep of a beat, a superfluous one costs an empty claim.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from functools import cache
from typing import Any, cast
from uuid import uuid4

import redis
from celery import Celery, current_app
from django.conf import settings
from kombu import Connection
from kombu import serialization as kombu_serialization
from redis.backoff import NoBackoff
from redis.retry import Retry

from jobs_platform.delivery.ringer import Ringer

DRAIN_TASK = "jobs.drain"
ENOUGH = 16
"""So many wake-ups waiting in the list wake whoever there is."""

_TIMEOUT_SECONDS = 0.5
_QUIET_SECONDS = 2.0
"""After a failed ring nobody tries again for so long: the sweep will."""

_NOW = "local now = redis.call('TIME'); now = now[1] * 1000 + math.floor(now[2] / 1000)\n"

# Slots that stand by are woken first, each through a list of its own; then messages make up for the
# rest. The answer is how many of either it took.
_RING = (
    _NOW
    + """
local wanted = tonumber(ARGV[1])
local awake = redis.call('ZRANGEBYSCORE', KEYS[2], now, '+inf', 'LIMIT', 0, wanted)
for _, slot in ipairs(awake) do
    redis.call('ZREM', KEYS[2], slot)
    redis.call('LPUSH', KEYS[2] .. ':' .. slot, '')
    redis.call('PEXPIRE', KEYS[2] .. ':' .. slot, 5000)
end
local missing = math.max(0, wanted - #awake - redis.call('LLEN', KEYS[1]))
for index = 2, missing + 1 do redis.call('LPUSH', KEYS[1], ARGV[index]) end
return #awake + missing
"""
)
_STAND_BY = (
    _NOW
    + """
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZADD', KEYS[1], now + tonumber(ARGV[2]), ARGV[1])
"""
)

_log = logging.getLogger(__name__)


def list_name(worker_queue: str) -> str:
    """The Celery queue, and so the Redis list, of a worker queue."""
    return f"jobs.{worker_queue}"


def _standby_name(worker_queue: str) -> str:
    """The sorted set of the slots that stand by, each until its score in milliseconds."""
    return f"{list_name(worker_queue)}:standby"


class Bell:
    """Rings over one Redis connection pool."""

    def __init__(self, url: str) -> None:
        self._client: redis.Redis = redis.Redis.from_url(
            url,
            socket_timeout=_TIMEOUT_SECONDS,
            socket_connect_timeout=_TIMEOUT_SECONDS,
            # Once more over a new connection: the old one may be from before a restart of Redis.
            retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
            health_check_interval=15,
        )
        self._ring = self._client.register_script(_RING)
        self._stand_by = self._client.register_script(_STAND_BY)
        self._quiet_until = 0.0
        self._lock = threading.Lock()

    def ring(self, worker_queue: str, wanted: int = 1) -> bool:
        """Wake slots that stand by, and see to it that `wanted` wake-ups (at most `ENOUGH`) wait.

        True when that took anything; False when enough waited, or when Redis is away.
        One that waits serves everybody who rings meanwhile: whoever it wakes takes all there is,
        and rings again when that is more than it can do.
        """
        if time.monotonic() < self._quiet_until:
            return False
        wanted = max(1, min(wanted, ENOUGH))
        try:
            messages = [_envelope(worker_queue) for _ in range(wanted)]
            keys = [list_name(worker_queue), _standby_name(worker_queue)]
            woken = self._ring(keys=keys, args=[wanted, *messages])
        except redis.RedisError as error:
            self._keep_quiet(error)
            return False
        return cast("int", woken) > 0

    def stand_by(self, worker_queue: str, slot: str, seconds: float) -> bool:
        """Wait to be woken by a ring, without a message through Celery; False when nobody rang.

        A slot that is woken too late, after `seconds`, still answers True: the ring counts on it.
        """
        if time.monotonic() < self._quiet_until:
            return False
        standby = _standby_name(worker_queue)
        own = f"{standby}:{slot}"
        try:
            with self._client.pipeline(transaction=False) as pipeline:
                self._stand_by(keys=[standby], args=[slot, int(seconds * 1000)], client=pipeline)
                pipeline.blpop([own], timeout=seconds)
                if pipeline.execute()[-1] is not None:
                    return True
            if self._client.zrem(standby, slot):
                return False
            self._client.delete(own)
        except redis.RedisError as error:
            self._keep_quiet(error)
            return False
        return True

    def answers(self) -> bool:
        """Whether Redis is there; says no at once for a while after it was not."""
        if time.monotonic() < self._quiet_until:
            return False
        try:
            return bool(self._client.ping())
        except redis.RedisError as error:
            self._keep_quiet(error)
            return False

    def waiting(self, worker_queue: str) -> int:
        """How many wake-ups lie in the list; `redis.RedisError` when Redis is away."""
        return int(self._client.llen(list_name(worker_queue)))

    def _keep_quiet(self, error: redis.RedisError) -> None:
        with self._lock:
            was_quiet_at = self._quiet_until
            self._quiet_until = time.monotonic() + _QUIET_SECONDS
        if time.monotonic() - was_quiet_at > 30:
            _log.warning("Redis is away (%s). Runs are accepted and start when it is back.", error)


def stand_by(worker_queue: str, slot: str, seconds: float) -> bool:
    """Wait for a ring in this thread; see `Bell.stand_by`."""
    return bell().stand_by(worker_queue, slot, seconds)


def ring(worker_queue: str, wanted: int = 1) -> None:
    """Have workers of a worker queue woken in a moment; never raises, never waits."""
    _ringer.ring(worker_queue, wanted)


def bell() -> Bell:
    """The bell of the project's broker: `CELERY_BROKER_URL`, or what its Celery app was told."""
    return _bell(getattr(settings, "CELERY_BROKER_URL", None) or current_app.conf.broker_url or "")


@cache
def _bell(url: str) -> Bell:
    return Bell(url)


_ringer = Ringer(lambda worker_queue, wanted: bell().ring(worker_queue, wanted))


def _envelope(worker_queue: str) -> str:
    """A Celery message as kombu would have written it, under ids of its own."""
    template = _template(worker_queue)
    message_id = str(uuid4())
    headers = template["headers"] | {"id": message_id, "root_id": message_id}
    properties = template["properties"] | {
        "correlation_id": message_id,
        "delivery_tag": str(uuid4()),
    }
    return json.dumps(template | {"headers": headers, "properties": properties})


@cache
def _template(worker_queue: str) -> dict[str, Any]:
    """One real message of Celery and kombu, made without a network.

    Writing the list ourselves costs a thirtieth of a publish; a contract test holds this against
    what a worker accepts.
    """
    app = Celery("jobs-envelope", set_as_current=False)
    message = app.amqp.as_task_v2(str(uuid4()), DRAIN_TASK, args=(worker_queue,), kwargs={})
    content_type, encoding, body = kombu_serialization.dumps(message.body, "json")
    with Connection("memory://") as connection, connection.channel() as channel:
        prepared: dict[str, Any] = channel.prepare_message(
            body, 0, content_type, encoding, message.headers, dict(message.properties)
        )
        channel._inplace_augment_message(prepared, "", list_name(worker_queue))
    return prepared
