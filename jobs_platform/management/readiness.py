"""Whether the processes of `dev` do their work: the web answers, workers are live, a beat ticks."""

from __future__ import annotations

import http.client
from datetime import datetime

from django.db.models import QuerySet
from django.db.models.functions import Now

from jobs_platform.delivery.beat import POOL as BEAT
from jobs_platform.engine.environments import environment_id
from jobs_platform.models import Environment, Worker

_HTTP_SECONDS = 5.0


def web_answers(port: int) -> bool:
    """Whether a request gets any answer at all."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_HTTP_SECONDS)
    try:
        connection.request("GET", "/")
        connection.getresponse()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True


def database_now() -> datetime:
    """The database's clock, which writes all instants."""
    return Environment.objects.order_by("id").values_list(Now(), flat=True)[0]


def live_workers(*, since: datetime) -> int:
    """Workers whose lease runs, started after `since`."""
    return _live(since).exclude(pool=BEAT).count()


def live_beats(*, since: datetime) -> int:
    """Beats whose lease runs, started after `since`."""
    return _live(since).filter(pool=BEAT).count()


def _live(since: datetime) -> QuerySet[Worker]:
    return Worker.objects.filter(
        environment_id=environment_id(),
        stopped_at__isnull=True,
        lease_until__gt=Now(),
        started_at__gte=since,
    )
