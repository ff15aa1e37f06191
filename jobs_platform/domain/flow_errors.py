"""The branches of the tree in `errors.py` that are about queues, delays and keys."""

from __future__ import annotations

from jobs_platform.domain.error_base import JobsError


class QueueRefusedError(JobsError):
    """The queue does not take the run."""

    code = "queue_refused"
    queue: str


class QueueFullError(QueueRefusedError):
    """Queue {queue!r} is full: {waiting} runs wait in it, {wanted} more were triggered, and its
    max_length is {limit}. Nothing was written. Trigger again later, or raise max_length."""

    code = "queue_full"
    queue: str
    waiting: int
    wanted: int
    limit: int


class QueueConflictError(QueueRefusedError):
    """Key {key!r} of queue {queue!r} is busy with {busy}, and the queue has on_conflict="refuse".
    Nothing was written. Trigger again when that run is over, or cancel it."""

    code = "queue_conflict"
    queue: str
    key: str
    busy: str
    """What holds the key, as people read it."""


class UnknownQueueError(JobsError):
    """Environment {environment!r} has no queue {queue!r}.{suggestion} A queue is there as soon as a
    worker whose code declares it has started, or a trigger has named it; `manage.py queues` lists
    them."""

    code = "queue_unknown"
    queue: str
    environment: str
    suggestion: str = ""


class RunNotDelayedError(JobsError):
    """Run {id!r} is {status}, so there is no delay to change: only a run that is DELAYED can be
    rescheduled. Cancel it and trigger another."""

    code = "run_not_delayed"
    id: str
    status: str


class UnsettledKeyError(JobsError):
    """The key {key!r} of task {task_id!r} was taken and freed {tries} times while a run was being
    made with it. Nothing was written. Trigger again."""

    code = "key_unsettled"
    key: str
    task_id: str
    tries: int
