"""A machine of a certain size, and a larger one when the memory was not enough.

    python manage.py trigger heavy-task --payload '{"megabytes": 100}' --wait

    >>> from tasks.examples.heavy_task import heavy_task
    >>> run = heavy_task.trigger_and_poll({"megabytes": 100})
    >>> run.machine, run.output
    ('micro', {'megabytes': 100, 'memory_gb': 0.25})
    >>> run = heavy_task.trigger_and_poll({"megabytes": 400})  # more than the machine has
    >>> [(attempt.status.value, attempt.error and attempt.error.name) for attempt in run.attempts]
    [('CRASHED', 'OutOfMemory'), ('COMPLETED', None)]
    >>> run.machine, run.output
    ('small-2x', {'megabytes': 400, 'memory_gb': 1})

Who knows beforehand that a run is a heavy one says so at the trigger:

    >>> heavy_task.trigger_and_poll({"megabytes": 400}, machine="small-2x").attempt_number
    1

A machine is a worker queue: `manage.py worker --machine small-2x` serves one, a worker without the
option serves all that fit where it runs. Memory is enforced in workers with the pool `prefork`,
where an attempt has a process of its own. The larger machine is tried once; a run that is out of
memory there has crashed. JOBS["MACHINES"] adds sizes of your own.
"""

from typing import Any

from pydantic import BaseModel, Field

from jobs_platform import Context, OutOfMemory, Retry, logger, task

MEGABYTE = 1024 * 1024


class Work(BaseModel):
    megabytes: int = Field(100, ge=1, le=10_000, description="How much memory it needs.")


@task(
    id="heavy-task",
    machine="micro",
    retry=Retry(min_timeout="50ms", out_of_memory=OutOfMemory(machine="small-2x")),
)
def heavy_task(payload: Work, ctx: Context) -> dict[str, Any]:
    """Hold as much memory as the payload says, for a moment."""
    logger.info("On a machine", name=ctx.machine.name, memory_gb=ctx.machine.memory_gb)
    held = bytearray(payload.megabytes * MEGABYTE)
    return {"megabytes": len(held) // MEGABYTE, "memory_gb": ctx.machine.memory_gb}
