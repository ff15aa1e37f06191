"""An exception is an attempt that failed: it is stored, and the run is tried again later.

    python manage.py trigger retries --payload '{"failures": 2}' --wait

    >>> from tasks.examples.retries import retries
    >>> run = retries.trigger_and_poll({"failures": 2})
    >>> run.output
    {'succeeded_on_attempt': 3}
    >>> for attempt in run.attempts:
    ...     print(attempt.number, attempt.status, attempt.error and attempt.error.message)
    1 FAILED The shop did not answer.
    2 FAILED The shop did not answer.
    3 COMPLETED None

When no attempt remains, the run has failed; a trigger may ask for fewer attempts than the task:

    >>> retries.trigger_and_poll({"failures": 1}, max_attempts=1).status
    <Status.FAILED: 'FAILED'>

The n-th retry waits `min_timeout * factor ** (n - 1)`, at most `max_timeout`; with `randomize` (the
default) up to twice as long, so that a thousand runs do not come back at once.
Between two attempts a run occupies no worker. Make a task safe to run twice: `create_invoice.py`.
"""

from pydantic import BaseModel, Field

from jobs_platform import Context, Retry, logger, task


class Failures(BaseModel):
    failures: int = Field(2, ge=0, description="How many attempts fail before one succeeds.")


@task(
    id="retries",
    retry=Retry(max_attempts=3, factor=2, min_timeout="100ms", max_timeout="10s", randomize=False),
)
def retries(payload: Failures, ctx: Context) -> dict[str, int]:
    """Fail as often as the payload says, then succeed."""
    logger.info("Asking the shop", attempt=ctx.attempt.number, of=ctx.run.max_attempts)
    if ctx.attempt.number <= payload.failures:
        raise ConnectionError("The shop did not answer.")
    return {"succeeded_on_attempt": ctx.attempt.number}
