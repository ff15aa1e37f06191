"""An async task: many slow things at the same time, in one run.

    python manage.py trigger check-addresses --payload '{"addresses": ["127.0.0.1:1"]}' --wait

    >>> from tasks.examples.async_task import check_addresses
    >>> check_addresses.trigger_and_poll({"addresses": ["127.0.0.1:1", "127.0.0.1:2"]}).output
    {'127.0.0.1:1': 'closed', '127.0.0.1:2': 'closed'}

`async def` is all it takes; hooks may be async as well. Async runs of a process share one event
loop, so a blocking call belongs into `asyncio.to_thread`. When the run is cancelled, the coroutine
is cancelled. In async code every call of the platform that talks to the database has a twin with an
`a` in front: `await task.atrigger(…)`, `await runs.aretrieve(…)`.
"""

import asyncio
from typing import Annotated

from pydantic import BaseModel, Field

from jobs_platform import Context, logger, task

AT_ONCE = 50

Address = Annotated[str, Field(pattern=r"^[\w.-]+:[0-9]{1,5}$", description="host:port")]


class Addresses(BaseModel):
    addresses: list[Address] = Field(min_length=1)
    timeout_seconds: float = Field(3, gt=0, le=60)


@task(id="check-addresses")
async def check_addresses(payload: Addresses, ctx: Context) -> dict[str, str]:
    """Find out which addresses answer; as slow as the slowest, not as all together."""
    limit = asyncio.Semaphore(AT_ONCE)

    async def look(address: str) -> str:
        async with limit:
            return await _state_of(address, payload.timeout_seconds)

    found = await asyncio.gather(*(look(address) for address in payload.addresses))
    states = dict(zip(payload.addresses, found, strict=True))
    logger.info("Checked", addresses=len(states), open=found.count("open"))
    return states


async def _state_of(address: str, timeout_seconds: float) -> str:
    host, _, port = address.rpartition(":")
    try:
        async with asyncio.timeout(timeout_seconds):
            _, writer = await asyncio.open_connection(host, int(port))
    except TimeoutError:
        return "silent"
    except (OSError, OverflowError):  # refused, no such host, no such port
        return "closed"
    writer.close()
    return "open"
