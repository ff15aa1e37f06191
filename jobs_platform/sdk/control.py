"""What people ask of the platform at run time: queues held back and let go, runs explained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from jobs_platform.sdk.explanation import Explanation
from jobs_platform.sdk.queue_info import EnvironmentPause, QueueInfo


class Control(Protocol):
    """Part of `ports.Engine`. `environment` is a slug; None means the configured one."""

    def retrieve_queue(self, name: str, *, environment: str | None = None) -> QueueInfo:
        """`UnknownQueueError` names the nearest."""
        ...

    def list_queues(
        self,
        *,
        names: Sequence[str] | None = None,
        after: str = "",
        limit: int = 100,
        environment: str | None = None,
    ) -> Sequence[QueueInfo]:
        """By name; `names` that are not there are left out."""
        ...

    def pause_queue(
        self, name: str, *, by: str = "", environment: str | None = None
    ) -> QueueInfo: ...
    def resume_queue(self, name: str, *, environment: str | None = None) -> QueueInfo: ...
    def override_concurrency_limit(
        self, name: str, limit: int, *, by: str = "", environment: str | None = None
    ) -> QueueInfo: ...
    def reset_concurrency_limit(
        self, name: str, *, environment: str | None = None
    ) -> QueueInfo: ...
    def environment_pause(self, *, environment: str | None = None) -> EnvironmentPause: ...
    def pause_environment(
        self, *, by: str = "", environment: str | None = None
    ) -> EnvironmentPause: ...
    def resume_environment(self, *, environment: str | None = None) -> EnvironmentPause: ...
    def explain(self, run_id: UUID) -> Explanation: ...
