"""Look at the error, then decide: later, at once, or never again.

    python manage.py trigger smart-retry --payload '{"answers": ["busy", "silence", "ok"]}' --wait

    >>> from tasks.examples.smart_retry import smart_retry
    >>> run = smart_retry.trigger_and_poll({"answers": ["busy", "silence", "ok"]})
    >>> [attempt.error.name for attempt in run.attempts if attempt.error]
    ['RateLimitedError', 'TimeoutError']
    >>> run = smart_retry.trigger_and_poll({"answers": ["no", "ok"]})
    >>> run.status, len(run.attempts)
    (<Status.FAILED: 'FAILED'>, 1)

`catch_error` is asked after each attempt that raised, while attempts remain or not. It may answer
`Retry.after("30s")`, `Retry.at(instant)`, `Retry.skip()`, another policy (`Retry(...)`) or another
exception; None leaves the decision to the task's own `retry`. Inside the function,
`raise AbortTaskRunError("…")` gives up as well.
"""

from typing import Any, Literal

from pydantic import BaseModel, Field

from jobs_platform import Context, Retry, task


class RateLimitedError(Exception):
    """The vendor said 429, and in which time to come back."""

    def __init__(self, reset_seconds: float) -> None:
        super().__init__(f"Rate limited; come back in {reset_seconds:g} s.")
        self.reset_seconds = reset_seconds


class RefusedError(Exception):
    """The vendor understood, and said no: asking again would not change its mind."""


class Call(BaseModel):
    answers: list[Literal["ok", "busy", "silence", "no"]] = Field(
        min_length=1, description="What the vendor says to the first attempt, the second, …"
    )
    reset_seconds: float = Field(0.2, ge=0)


@task(id="smart-retry", retry=Retry(max_attempts=5))
def smart_retry(payload: Call, ctx: Context) -> dict[str, int]:
    """Call a vendor who is not always in the mood."""
    match payload.answers[min(ctx.attempt.number, len(payload.answers)) - 1]:
        case "busy":
            raise RateLimitedError(payload.reset_seconds)
        case "silence":
            raise TimeoutError("The vendor did not answer in time.")
        case "no":
            raise RefusedError("The vendor does not know this customer.")
    return {"attempts": ctx.attempt.number}


@smart_retry.catch_error
def decide(error: Exception, ctx: Context) -> Any:
    match error:
        case RateLimitedError():
            return Retry.after(error.reset_seconds)
        case TimeoutError():
            return Retry.after(0)
        case _:
            return Retry.skip()
