"""The tasks of this process, by id. Finds an unknown one by discovery, then asks the engine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jobs_platform.domain.errors import (
    DuplicateTaskError,
    TaskImportError,
    UnknownTaskError,
    close_matches,
)
from jobs_platform.domain.payloads import to_json
from jobs_platform.sdk import discovery, ports
from jobs_platform.sdk.options import TaskDefaults

if TYPE_CHECKING:
    from jobs_platform.sdk.task import Task


@dataclass(frozen=True, slots=True)
class RemoteTask:
    """A task that other processes know: nothing can be validated here."""

    id: str
    definition: dict[str, Any]

    @property
    def defaults(self) -> TaskDefaults:
        stored = self.definition
        return TaskDefaults(
            queue=stored.get("queue") or f"task/{self.id}",
            machine=stored.get("machine"),
            max_attempts=stored.get("max_attempts"),
            version=stored.get("version"),
            ttl_seconds=stored.get("ttl_seconds"),
            max_duration_seconds=stored.get("max_duration_seconds"),
        )

    def dump_payload(self, payload: Any) -> str:
        return to_json(payload)


class Registry:
    """Tasks by id. A clash of two ids is an error at import."""

    def __init__(self) -> None:
        self._tasks: dict[str, Task] = {}
        self._report: discovery.Report | None = None
        self._lock = threading.RLock()

    def register(self, task: Task) -> None:
        """Keep a task; the same function imported once more takes the place of its former self."""
        with self._lock:
            known = self._tasks.get(task.id)
            if known is not None and not _is_reimport(known, task):
                raise DuplicateTaskError(
                    task_id=task.id, first_place=known.place, second_place=task.place
                )
            self._tasks[task.id] = task

    def get(self, task_id: str) -> Task | None:
        """A task of this process; nothing is imported."""
        return self._tasks.get(task_id)

    def find(self, task_id: str) -> Task:
        """A task of this process, after discovery if need be; `UnknownTaskError`."""
        task = self._tasks.get(task_id)
        if task is None:
            self.discover()
            task = self._tasks.get(task_id)
        if task is None:
            raise self._unknown(task_id, self._tasks)
        return task

    def resolve(self, task_id: str) -> Task | RemoteTask:
        """A task to trigger: of this process, found by discovery, or stored by a worker."""
        if not isinstance(task_id, str):
            raise UnknownTaskError(task_id=task_id)
        task = self._tasks.get(task_id)
        if task is None:
            self.discover()
            task = self._tasks.get(task_id)
        if task is not None:
            return task
        stored = ports.engine().known_tasks()
        if task_id in stored:
            return RemoteTask(task_id, stored[task_id])
        raise self._unknown(task_id, [*self._tasks, *stored])

    def discover(self) -> discovery.Report:
        """Import the task modules of `JOBS["DIRS"]`, once per process."""
        with self._lock:
            if self._report is None:
                self._report = discovery.discover(ports.configuration(), forget=self.forget)
            return self._report

    def forget(self, file: str) -> None:
        """Drop the tasks of a module that did not import to its end."""
        with self._lock:
            self._tasks = {key: task for key, task in self._tasks.items() if task.file != file}

    def clear(self) -> None:
        """For tests: as a fresh process."""
        with self._lock:
            self._tasks = {}
            self._report = None

    def __iter__(self) -> Iterator[Task]:
        return iter(sorted(self._tasks.values(), key=lambda task: task.id))

    def __len__(self) -> int:
        return len(self._tasks)

    def _unknown(self, task_id: str, known: Any) -> UnknownTaskError:
        errors = self._report.errors if self._report else ()
        broken = tuple(error.module for error in errors if isinstance(error, TaskImportError))
        return UnknownTaskError(task_id=task_id, close=close_matches(task_id, known), broken=broken)


registry = Registry()


def _is_reimport(known: Task, new: Task) -> bool:
    return (known.file, known.line, known.qualified_name) == (
        new.file,
        new.line,
        new.qualified_name,
    ) and "<locals>" not in new.qualified_name
