"""Later, and not too late: a reminder of a cart, which moves, and is cancelled by the order.

    python manage.py trigger remind-of-cart --payload '{"cart": "C-7"}' --wait

    >>> from jobs_platform import runs
    >>> from tasks.examples.reminder import cart_changed, ordered
    >>> reminder = cart_changed("C-7")  # to be run in an hour
    >>> runs.retrieve(reminder).status
    <Status.DELAYED: 'DELAYED'>
    >>> runs.reschedule(reminder, "2h")  # from now
    >>> ordered("C-7")
    1
    >>> runs.retrieve(reminder).status
    <Status.CANCELED: 'CANCELED'>

- `delay` is a time from now, or an instant with its time zone: `delay=datetime(2030, 1, 1,
  tzinfo=UTC)`. A delayed run is a row; it occupies no worker, survives every restart, and may wait
  for years.
- `ttl` counts from the moment it is queued, which is when the delay is over. Should no worker be
  there for so long, the run is EXPIRED instead of reminding somebody in the middle of the night:
  `on_failure` is called. Once it has started, the TTL means nothing; `max_duration` is for that.
- `runs.reschedule` changes the delay while it lasts; afterwards it raises `RunNotDelayedError`.
"""

from pydantic import BaseModel, Field

from jobs_platform import Context, RunError, RunHandle, logger, runs, task

DELAY = "1h"
TTL = "30m"


class Cart(BaseModel):
    cart: str = Field(min_length=1, max_length=64)


def cart_changed(cart: str) -> RunHandle:
    """Remind of a cart, unless it is ordered within an hour."""
    return remind_of_cart.trigger({"cart": cart}, delay=DELAY, ttl=TTL, tags=[f"cart:{cart}"])


def ordered(cart: str) -> int:
    """Take back what has not been sent; returns how many reminders that were."""
    waiting = runs.list(task=remind_of_cart, tag=f"cart:{cart}", status="DELAYED")
    return sum(runs.cancel(run, reason="The cart was ordered.") for run in waiting)


@task(id="remind-of-cart")
def remind_of_cart(payload: Cart) -> str:
    """Remind somebody of a cart."""
    logger.info("Reminding", cart=payload.cart)
    return f"There is something in your cart {payload.cart}."


@remind_of_cart.on_failure
def tell(payload: Cart, error: RunError, ctx: Context) -> None:
    """An expired run has an error as well, by the name `Expired`."""
    logger.warn("Not reminded", cart=payload.cart, why=error.name)
