"""What people ask at run time: the part of `platform.py` about queues and explanations."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from jobs_platform.engine import queues
from jobs_platform.engine.explain import explain
from jobs_platform.sdk.explanation import Explanation
from jobs_platform.sdk.queue_info import EnvironmentPause, QueueInfo


class PostgresControl:
    """`sdk.control.Control` over the caller's Django connection."""

    def retrieve_queue(self, name: str, *, environment: str | None = None) -> QueueInfo:
        return queues.retrieve_queue(name, environment=environment)

    def list_queues(
        self,
        *,
        names: Sequence[str] | None = None,
        after: str = "",
        limit: int = 100,
        environment: str | None = None,
    ) -> list[QueueInfo]:
        return queues.list_queues(names=names, after=after, limit=limit, environment=environment)

    def pause_queue(self, name: str, *, by: str = "", environment: str | None = None) -> QueueInfo:
        return queues.pause_queue(name, by=by, environment=environment)

    def resume_queue(self, name: str, *, environment: str | None = None) -> QueueInfo:
        return queues.resume_queue(name, environment=environment)

    def override_concurrency_limit(
        self, name: str, limit: int, *, by: str = "", environment: str | None = None
    ) -> QueueInfo:
        return queues.override_concurrency_limit(name, limit, by=by, environment=environment)

    def reset_concurrency_limit(self, name: str, *, environment: str | None = None) -> QueueInfo:
        return queues.reset_concurrency_limit(name, environment=environment)

    def environment_pause(self, *, environment: str | None = None) -> EnvironmentPause:
        return queues.environment_pause(environment=environment)

    def pause_environment(
        self, *, by: str = "", environment: str | None = None
    ) -> EnvironmentPause:
        return queues.pause_environment(by=by, environment=environment)

    def resume_environment(self, *, environment: str | None = None) -> EnvironmentPause:
        return queues.resume_environment(environment=environment)

    def explain(self, run_id: UUID) -> Explanation:
        return explain(run_id)
