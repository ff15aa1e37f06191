"""`queues`: look at queues, pause and resume them, and change their limits at run time."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from asgiref.sync import sync_to_async

from jobs_platform.domain.errors import InvalidOptionError
from jobs_platform.sdk import ports
from jobs_platform.sdk.queue import MAX_LIMIT, Queue
from jobs_platform.sdk.queue_info import EnvironmentPause, QueueInfo
from jobs_platform.sdk.texts import check_text

MAX_LIST_LIMIT = 1_000
MAX_BY_LENGTH = 200
MAX_NAME_LENGTH = 160
"""Longer than `Queue` takes: a task's own queue has its id in its name."""

AnyQueue = Queue | QueueInfo | str


class Queues:
    """Every argument that is a queue may be its name; `by` says who asks, and is shown with when.

    `UnknownQueueError` where there is no such queue, with the nearest names.
    """

    __slots__ = ()

    def retrieve(self, queue: AnyQueue, *, environment: str | None = None) -> QueueInfo:
        """A queue as it stands."""
        return ports.engine().retrieve_queue(_name(queue), environment=environment)

    async def aretrieve(self, queue: AnyQueue, *, environment: str | None = None) -> QueueInfo:
        return await sync_to_async(self.retrieve)(queue, environment=environment)

    def list(
        self, *, after: AnyQueue = "", limit: int = 100, environment: str | None = None
    ) -> Sequence[QueueInfo]:
        """Queues by name; `after` the last one of the page before."""
        if (
            isinstance(limit, bool)
            or not isinstance(limit, int)
            or not 1 <= limit <= MAX_LIST_LIMIT
        ):
            reason = f"is not a whole number from 1 to {MAX_LIST_LIMIT:,}"
            raise InvalidOptionError(option="limit", value=limit, reason=reason)
        last = _name(after) if after else ""
        return ports.engine().list_queues(after=last, limit=limit, environment=environment)

    async def alist(
        self, *, after: AnyQueue = "", limit: int = 100, environment: str | None = None
    ) -> Sequence[QueueInfo]:
        listed = partial(self.list, after=after, limit=limit, environment=environment)
        return await sync_to_async(listed)()

    def pause(self, queue: AnyQueue, *, by: str = "", environment: str | None = None) -> QueueInfo:
        """Let nothing of the queue start from the commit on; what executes goes on.

        One that is paused already stays as it is.
        """
        return ports.engine().pause_queue(_name(queue), by=_by(by), environment=environment)

    async def apause(
        self, queue: AnyQueue, *, by: str = "", environment: str | None = None
    ) -> QueueInfo:
        return await sync_to_async(self.pause)(queue, by=by, environment=environment)

    def resume(self, queue: AnyQueue, *, environment: str | None = None) -> QueueInfo:
        """End a pause: waiting runs start as the limits allow."""
        return ports.engine().resume_queue(_name(queue), environment=environment)

    async def aresume(self, queue: AnyQueue, *, environment: str | None = None) -> QueueInfo:
        return await sync_to_async(self.resume)(queue, environment=environment)

    def override_concurrency_limit(
        self, queue: AnyQueue, limit: int, *, by: str = "", environment: str | None = None
    ) -> QueueInfo:
        """Let `limit` runs execute at once, whatever the code says, until it is reset.

        Attempts that are live count and are not stopped. On a queue without limits, runs whose
        trigger was not committed at that moment may still start beside the limit.
        """
        if isinstance(limit, bool) or not isinstance(limit, int) or not 0 < limit <= MAX_LIMIT:
            reason = (
                f"is not a whole number from 1 to {MAX_LIMIT:,}; queues.pause() lets none start"
            )
            raise InvalidOptionError(option="concurrency_limit", value=limit, reason=reason)
        return ports.engine().override_concurrency_limit(
            _name(queue), limit, by=_by(by), environment=environment
        )

    async def aoverride_concurrency_limit(
        self, queue: AnyQueue, limit: int, *, by: str = "", environment: str | None = None
    ) -> QueueInfo:
        override = partial(self.override_concurrency_limit, by=by, environment=environment)
        return await sync_to_async(override)(queue, limit)

    def reset_concurrency_limit(
        self, queue: AnyQueue, *, environment: str | None = None
    ) -> QueueInfo:
        """Let the code's limit hold again."""
        return ports.engine().reset_concurrency_limit(_name(queue), environment=environment)

    async def areset_concurrency_limit(
        self, queue: AnyQueue, *, environment: str | None = None
    ) -> QueueInfo:
        return await sync_to_async(self.reset_concurrency_limit)(queue, environment=environment)

    def environment(self, *, environment: str | None = None) -> EnvironmentPause:
        """Whether the whole environment is paused."""
        return ports.engine().environment_pause(environment=environment)

    async def aenvironment(self, *, environment: str | None = None) -> EnvironmentPause:
        return await sync_to_async(self.environment)(environment=environment)

    def pause_all(self, *, by: str = "", environment: str | None = None) -> EnvironmentPause:
        """Let nothing of the environment start from the commit on; what executes goes on."""
        return ports.engine().pause_environment(by=_by(by), environment=environment)

    async def apause_all(self, *, by: str = "", environment: str | None = None) -> EnvironmentPause:
        return await sync_to_async(self.pause_all)(by=by, environment=environment)

    def resume_all(self, *, environment: str | None = None) -> EnvironmentPause:
        """End the pause of the environment; queues that are paused themselves stay so."""
        return ports.engine().resume_environment(environment=environment)

    async def aresume_all(self, *, environment: str | None = None) -> EnvironmentPause:
        return await sync_to_async(self.resume_all)(environment=environment)


queues = Queues()


def _name(queue: AnyQueue) -> str:
    if isinstance(queue, Queue | QueueInfo):
        return queue.name
    return check_text("queue", queue, limit=MAX_NAME_LENGTH)


def _by(by: str) -> str:
    return check_text("by", by, limit=MAX_BY_LENGTH) if by else ""
