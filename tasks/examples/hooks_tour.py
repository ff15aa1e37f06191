"""Every hook, in the order in which they are called.

    python manage.py trigger hooks-tour --payload '{}' --wait

    >>> from tasks.examples.hooks_tour import hooks_tour
    >>> hooks_tour.trigger_and_poll({}).output
    ['middleware begins', 'init', 'on_start', 'on_start_attempt', 'run']
    >>> hooks_tour.trigger_and_poll({"failures": 1}).output  # on_start is for the first attempt
    ['middleware begins', 'init', 'on_start_attempt', 'run']

    middleware ┐                              once per attempt, around everything below
      init     │  on_start  on_start_attempt  before the function; init's result is ctx.init
        run    │                              the function itself
      cleanup  │                              after the function, however it ended
    middleware ┘
    catch_error                               when the attempt raised; decides about the retry
    on_success | on_failure | on_cancel       when the run is over and stored, once
    on_complete                               after any of them

`cleanup` and the final hooks cannot change the outcome: what they raise is logged. What the
middleware, `init`, `on_start` and `on_start_attempt` raise fails the attempt. A worker may die
while it calls a final hook; then another one calls it again. (`on_wait` and `on_resume` belong to
durable waits, which are on the way.)
"""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, Field

from jobs_platform import Context, Retry, RunError, hooks, logger, task
from jobs_platform import locals as run_locals


class Tour(BaseModel):
    failures: int = Field(0, ge=0, description="How many attempts fail.")


@task(id="hooks-tour", retry=Retry(max_attempts=2, min_timeout="50ms", randomize=False))
def hooks_tour(payload: Tour, ctx: Context) -> list[str]:
    """Tell which hooks were called before the function was."""
    note("run")
    if ctx.attempt.number <= payload.failures:
        raise ConnectionError(f"Attempt {ctx.attempt.number} fails.")
    return list(ctx.init["visited"])


@hooks_tour.middleware
def around(payload: Tour, ctx: Context) -> Iterator[None]:
    """`locals` are of one attempt: shared by its middleware, hooks and function."""
    run_locals.set("visited", [])
    note("middleware begins")
    try:
        yield
    finally:
        note("middleware ends")


@hooks_tour.init
def init(payload: Tour, ctx: Context) -> dict[str, Any]:
    """The place to open what the function needs: a client, a file, a lock."""
    note("init")
    return {"visited": run_locals.get_or_raise("visited")}


@hooks_tour.on_start
def on_start(payload: Tour, ctx: Context) -> None:
    note("on_start")


@hooks_tour.on_start_attempt
def on_start_attempt(payload: Tour, ctx: Context) -> None:
    note("on_start_attempt")


@hooks_tour.cleanup
def cleanup(payload: Tour, ctx: Context) -> None:
    """The place to close what `init` has opened."""
    note("cleanup")


@hooks_tour.catch_error
def catch_error(error: Exception, ctx: Context) -> None:
    """None leaves the decision to the task's retry policy; see smart_retry.py."""
    note(f"catch_error {type(error).__name__}")


@hooks_tour.on_success
def on_success(payload: Tour, output: list[str], ctx: Context) -> None:
    note("on_success")


@hooks_tour.on_failure
def on_failure(payload: Tour, error: RunError, ctx: Context) -> None:
    """The place to tell somebody: the last attempt has failed."""
    note(f"on_failure {error.name}")


@hooks_tour.on_cancel
def on_cancel(payload: Tour, ctx: Context) -> None:
    note("on_cancel")


@hooks_tour.on_complete
def on_complete(payload: Tour, ctx: Context) -> None:
    note("on_complete")


def hook_all_tasks() -> None:
    """Hooks for all tasks are called before the task's own, except for `catch_error`.

    Write them as decorators, `@hooks.on_failure`, in the file `init.py` of your tasks, which is
    loaded first. Here they are a function because they would hook all the other examples, too.
    """
    hooks.on_worker_start(lambda: None)  # once in each process, before its first run
    hooks.middleware(around_all)
    hooks.on_start(lambda payload, ctx: note("global on_start"))
    hooks.catch_error(lambda error, ctx: note("global catch_error"))
    hooks.on_complete(lambda payload, ctx: note("global on_complete"))


def around_all(payload: Any, ctx: Context) -> Iterator[None]:
    logger.info("global middleware begins")
    yield
    logger.info("global middleware ends")


def note(place: str) -> None:
    """Tell the log of the run, and the function, which hook was called."""
    logger.info(place)
    run_locals.get("visited", []).append(place)
