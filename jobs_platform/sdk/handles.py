"""What a trigger gives back: handles of runs and of batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload
from uuid import UUID

from jobs_platform.domain import ids
from jobs_platform.sdk.ports import Triggered, configuration


@dataclass(frozen=True, slots=True)
class RunHandle:
    """A triggered run. Every call that takes a run id takes a handle."""

    id: str
    task_id: str
    is_cached: bool = False

    @property
    def url(self) -> str | None:
        """Its page in the dashboard, when `JOBS["BASE_URL"]` says where that is."""
        return configuration().run_url(self.id)


@dataclass(frozen=True, slots=True)
class BatchHandle(Sequence[RunHandle]):
    """A triggered batch: a sequence of handles, in the order of the items."""

    id: str
    runs: tuple[RunHandle, ...]

    @overload
    def __getitem__(self, index: int) -> RunHandle: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[RunHandle]: ...
    def __getitem__(self, index: int | slice) -> RunHandle | Sequence[RunHandle]:
        return self.runs[index]

    def __len__(self) -> int:
        return len(self.runs)

    def __iter__(self) -> Iterator[RunHandle]:
        return iter(self.runs)


def handle_of(triggered: Triggered) -> RunHandle:
    return RunHandle(ids.encode("run", triggered.id), triggered.task_id, triggered.is_cached)


def run_uuid(run: str | RunHandle) -> UUID:
    """The UUID of a run given by id or handle; `InvalidIdError`."""
    return ids.decode("run", run.id if isinstance(run, RunHandle) else run)


def batch_uuid(batch: str | BatchHandle) -> UUID:
    """The UUID of a batch given by id or handle; `InvalidIdError`."""
    return ids.decode("batch", batch.id if isinstance(batch, BatchHandle) else batch)
