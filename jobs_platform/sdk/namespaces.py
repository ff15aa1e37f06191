"""`tasks` and `batch`: triggering by id, and batches of several tasks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Unpack

from asgiref.sync import sync_to_async

from jobs_platform.domain.durations import Duration
from jobs_platform.sdk import polling, ports, triggering
from jobs_platform.sdk.handles import BatchHandle, RunHandle, batch_uuid, run_uuid
from jobs_platform.sdk.options import TriggerOptions
from jobs_platform.sdk.registry import registry
from jobs_platform.sdk.values import Batch, Run


class Tasks:
    """Triggers tasks by id: nothing of theirs need be imported."""

    __slots__ = ()

    def trigger(
        self, task_id: str, payload: Any = None, **options: Unpack[TriggerOptions]
    ) -> RunHandle:
        """Trigger a run; `UnknownTaskError` names the nearest ids."""
        return triggering.trigger(registry.resolve(task_id), payload, options)

    async def atrigger(
        self, task_id: str, payload: Any = None, **options: Unpack[TriggerOptions]
    ) -> RunHandle:
        return await sync_to_async(self.trigger)(task_id, payload, **options)

    def batch_trigger(
        self, task_id: str, items: Iterable[Any], **defaults: Unpack[TriggerOptions]
    ) -> BatchHandle:
        """Trigger a run for each item, a payload or a `BatchItem`."""
        return triggering.trigger_items(registry.resolve(task_id), items, defaults)

    async def abatch_trigger(
        self, task_id: str, items: Iterable[Any], **defaults: Unpack[TriggerOptions]
    ) -> BatchHandle:
        return await sync_to_async(self.batch_trigger)(task_id, items, **defaults)

    def trigger_and_poll(
        self,
        task_id: str,
        payload: Any = None,
        *,
        poll_interval: Duration = 1.0,
        timeout: Duration | None = None,
        **options: Unpack[TriggerOptions],
    ) -> Run:
        """Trigger a run and block until it is final. Refused inside an open transaction."""
        polling.refuse_open_transaction("tasks.trigger_and_poll")
        handle = self.trigger(task_id, payload, **options)
        return polling.poll(run_uuid(handle), interval=poll_interval, timeout=timeout)

    async def atrigger_and_poll(
        self,
        task_id: str,
        payload: Any = None,
        *,
        poll_interval: Duration = 1.0,
        timeout: Duration | None = None,  # noqa: ASYNC109 - as in its twin
        **options: Unpack[TriggerOptions],
    ) -> Run:
        await sync_to_async(polling.refuse_open_transaction)("tasks.atrigger_and_poll")
        handle = await self.atrigger(task_id, payload, **options)
        return await polling.apoll(run_uuid(handle), interval=poll_interval, timeout=timeout)


class Batches:
    """Triggers runs of several tasks as one batch, and looks batches up."""

    __slots__ = ()

    def trigger(self, items: Iterable[Any]) -> BatchHandle:
        """Items are `("task-id", payload)` or `("task-id", payload, options)`."""
        return triggering.trigger_mixed(items, by_task=False)

    async def atrigger(self, items: Iterable[Any]) -> BatchHandle:
        return await sync_to_async(self.trigger)(items)

    def trigger_by_task(self, items: Iterable[Any]) -> BatchHandle:
        """Items are `(task, payload)` or `(task, payload, options)`."""
        return triggering.trigger_mixed(items, by_task=True)

    async def atrigger_by_task(self, items: Iterable[Any]) -> BatchHandle:
        return await sync_to_async(self.trigger_by_task)(items)

    def retrieve(self, batch: str | BatchHandle) -> Batch:
        """A batch as it stands; `BatchNotFoundError`."""
        return ports.engine().retrieve_batch(batch_uuid(batch))

    async def aretrieve(self, batch: str | BatchHandle) -> Batch:
        return await sync_to_async(self.retrieve)(batch)


tasks = Tasks()
batch = Batches()
