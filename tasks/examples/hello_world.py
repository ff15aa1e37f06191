"""The smallest task: a plain function, a typed payload, a result.

    python manage.py trigger hello-world --payload '{"name": "Ada"}' --wait

    >>> from tasks.examples.hello_world import hello_world
    >>> hello_world.trigger({"name": "Ada"})  # stores the run and returns at once
    RunHandle(id='run_...', task_id='hello-world', is_cached=False)
    >>> hello_world.trigger_and_poll({"name": "Ada"}).output  # for scripts: waits for the end
    {'greeting': 'Hello, Ada!'}

A payload that does not fit is refused where it is triggered, before anything is stored:

    >>> hello_world.trigger({"nmae": "Ada"})
    Traceback (most recent call last):
    jobs_platform.domain.errors.PayloadValidationError: ... payload.name: Field required ...

In a test or a shell, `hello_world.local({"name": "Ada"})` calls the function here and now.
"""

from pydantic import BaseModel

from jobs_platform import logger, task


class Hello(BaseModel):
    name: str


@task(id="hello-world")
def hello_world(payload: Hello) -> dict[str, str]:
    """Greet somebody."""
    logger.info("Greeting", name=payload.name)
    return {"greeting": f"Hello, {payload.name}!"}
