"""What a run says about itself: lines with levels and fields, found again in the dashboard.

    python manage.py trigger structured-logging --payload '{"items": 3}' --watch

    >>> from jobs_platform import runs
    >>> from tasks.examples.structured_logging import structured_logging
    >>> run = structured_logging.trigger_and_poll({"items": 3})
    >>> for line in runs.log_lines(run):
    ...     print(line.source, line.level, line.message)
    logger info Three ways to say the same
    logger info pricing started
    logger info pricing finished
    stdout log printed lines are kept, too
    logging warn and so is what libraries log
    logger warn The stock is low
    logger error One item was left out

- Fields are any keywords, or a dict: `logger.info("Paid", order="A-17", amount=99.9)`. What is not
  JSON is shown by its `repr`; logging never fails a run.
- `logger.trace` logs the start and the end of a block, with its duration and whether it raised.
- `print` and `logging` inside a run become its lines. `debug` is kept with
  `JOBS = {"LOG_LEVEL": "debug"}`.
- Lines are written every 0.1 s while the run goes on, so a long run can be watched.
"""

import logging

from pydantic import BaseModel, Field

from jobs_platform import Context, logger, task

log = logging.getLogger(__name__)


class Basket(BaseModel):
    items: int = Field(3, ge=1, le=1_000)


@task(id="structured-logging")
def structured_logging(payload: Basket, ctx: Context) -> dict[str, int]:
    """Price a basket, and talk about it."""
    logger.debug("Left out unless LOG_LEVEL is debug")
    logger.info("Three ways to say the same", {"run": ctx.run.id}, items=payload.items)
    with logger.trace("pricing", items=payload.items):
        cents = sum(199 + 50 * number for number in range(payload.items))
    print("printed lines are kept, too")
    log.warning("and so is what libraries log", extra={"cents": cents})
    logger.warn("The stock is low", left=payload.items - 1)
    logger.error("One item was left out", item={"number": payload.items, "why": "out of stock"})
    return {"cents": cents}
