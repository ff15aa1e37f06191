"""Redis: reachable, not evicting, and its lists of wake-ups consumed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from jobs_platform.delivery.wakeups import ENOUGH, list_name
from jobs_platform.management.checkup.finding import Finding, ok, problem, several, warn
from jobs_platform.management.servers import redis_url, without_password

_TIMEOUT_SECONDS = 3.0
_UNHEARD = 4 * ENOUGH
"""So many wake-ups in one list, and nobody takes them."""


def client() -> redis.Redis:
    """One that fails soon; `ValueError` when the URL is none."""
    return redis.Redis.from_url(
        redis_url(),
        socket_timeout=_TIMEOUT_SECONDS,
        socket_connect_timeout=_TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
    )


def check_broker(*, served: set[str]) -> Iterator[Finding]:
    """`served` are the worker queues that have live workers."""
    where = without_password(redis_url())
    try:
        with client() as connection:
            yield ok("redis", f"{server_name(connection)} answers at {where}.")
            yield _check_eviction(connection)
            yield _check_wakeups(connection, served)
    except (redis.RedisError, ValueError) as error:
        mend = "Start it, or correct REDIS_URL. Until then runs start by the sweep, a second later."
        what = f"Redis cannot be reached at {where}: {str(error).rstrip('.')}."
        yield problem("redis", what, mend=mend)


def server_name(connection: redis.Redis) -> str:
    """`Valkey 9.1.0`, `Redis 7.4.2`."""
    info: dict[str, Any] = connection.info("server")
    if info.get("valkey_version"):
        return f"Valkey {info['valkey_version']}"
    return f"Redis {info.get('redis_version', '')}".strip()


def _check_eviction(connection: redis.Redis) -> Finding:
    try:
        policy = connection.config_get("maxmemory-policy").get("maxmemory-policy")
    except redis.ResponseError:
        return ok(
            "eviction", "This Redis does not tell its maxmemory-policy; it should be noeviction."
        )
    if policy == "noeviction":
        return ok("eviction", "Redis evicts nothing (maxmemory-policy noeviction).")
    what = f"Redis may drop wake-ups when its memory is full (maxmemory-policy {policy})."
    return warn("eviction", what, mend="CONFIG SET maxmemory-policy noeviction, and in redis.conf.")


def _check_wakeups(connection: redis.Redis, served: set[str]) -> Finding:
    lengths = {name: int(connection.llen(list_name(name))) for name in sorted(served)}
    total = several(sum(lengths.values()), "wake-up lies", "wake-ups lie")
    unheard = [name for name, length in lengths.items() if length > _UNHEARD]
    if not unheard:
        return ok("wake-ups", f"{total} in the lists of the live workers.")
    what = f"{total} in Redis, and nobody takes those of: {', '.join(unheard)}."
    mend = "Do the workers use this Redis? Compare REDIS_URL there and here, then restart them."
    return problem("wake-ups", what, mend=mend)
