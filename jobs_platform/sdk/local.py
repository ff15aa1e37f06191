"""A stand-in for the claim of a run, for `task.local`: a plain call, outside the platform."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from jobs_platform.domain.clock import utc_now
from jobs_platform.domain.ids import new_uuid
from jobs_platform.sdk.context import ActiveRun
from jobs_platform.sdk.logger import RANKS, logger

_log = logging.getLogger("jobs_platform.tasks")


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalFacts:
    """What the context of a local call tells: one attempt of a run that is stored nowhere."""

    task_id: str
    queue: str
    environment: str
    worker_queue: str
    task_version: str | None = None
    id: UUID = field(default_factory=new_uuid)
    fencing_token: int = 0
    attempt_number: int = 1
    max_attempts: int = 1
    priority_seconds: float = 0.0
    tags: tuple[str, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict)
    is_test: bool = True
    created_at: datetime = field(default_factory=utc_now)
    started_at: datetime = field(default_factory=utc_now)
    attempt_started_at: datetime = field(default_factory=utc_now)
    parent_id: UUID | None = None
    root_id: UUID | None = None
    batch_id: UUID | None = None
    replay_of_id: UUID | None = None
    schedule_id: str | None = None
    idempotency_key: str | None = None
    max_duration_seconds: float | None = None


def local_run(facts: LocalFacts, *, task_file: str) -> ActiveRun:
    """The active run of a local call; its log lines go to `logging`."""
    return ActiveRun(facts, log=_LocalLog(), logger=logger, task_file=task_file, is_local=True)


class _LocalLog:
    """Log lines of a local call; its output is left alone."""

    def add(self, level: str, message: str, fields: str | None, source: str) -> None:
        shown = f"{message} {json.loads(fields)}" if fields else message
        _log.log(RANKS[level], "%s", shown, extra={"source": source})

    def feed(self, text: str, source: str) -> None:
        """Nothing feeds it: the proxies let local output through."""
