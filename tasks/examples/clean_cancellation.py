"""A cancelled run leaves nothing behind: stop where it is safe, then clean up.

    python manage.py trigger export-rows --payload '{"parts": 3}' --wait

    >>> from pathlib import Path
    >>> from jobs_platform import runs
    >>> from tasks.examples.clean_cancellation import export_rows
    >>> Path(export_rows.trigger_and_poll({"parts": 3}).output["file"]).read_text()
    'part 1\\npart 2\\npart 3\\n'
    >>> handle = export_rows.trigger({"parts": 100, "pause_seconds": 60})
    >>> runs.cancel(handle, reason="Nobody needs it any more.")
    True
    >>> runs.retrieve(handle).status
    <Status.CANCELED: 'CANCELED'>

The run is CANCELED at once, for everybody who looks, and so are its children. The attempt is told
in two ways, of which a function may use either or none:

- `ctx.cancelled` is a `threading.Event`: wait on it instead of sleeping, and look at it between two
  steps that belong together.
- `RunCancelled` is raised inside the function, in async code its coroutine is cancelled. `with` and
  `finally` work as always, `except Exception` does not catch it.

What does not stop by itself is stopped hard after JOBS["CANCEL_GRACE_SECONDS"]. Its slot is free
when the attempt has really stopped, not before. `on_cancel` is called after every cancellation,
also of a run that had not started, and also after its worker died: the place for what must not be
left behind.
"""

import tempfile
from pathlib import Path

from pydantic import BaseModel, Field

from jobs_platform import Context, logger, task

FOLDER = Path(tempfile.gettempdir())


class Export(BaseModel):
    parts: int = Field(3, ge=1, le=10_000)
    pause_seconds: float = Field(0, ge=0, le=3_600, description="After each part, to watch it run.")


@task(id="export-rows")
def export_rows(payload: Export, ctx: Context) -> dict[str, str]:
    """Write a file part by part; it has its name when it is complete."""
    unfinished = unfinished_file(ctx.run.id)
    with unfinished.open("w") as file:
        for number in range(1, payload.parts + 1):
            file.write(f"part {number}\n")
            logger.info("Wrote a part", number=number)
            if ctx.cancelled.wait(payload.pause_seconds):
                logger.info("Stopped between two parts", written=number)
                return {}
    return {"file": str(unfinished.rename(unfinished.with_suffix(".txt")))}


@export_rows.on_cancel
def remove_unfinished(payload: Export, ctx: Context) -> None:
    """May be called twice, and for a run that never started: nothing there is fine."""
    unfinished_file(ctx.run.id).unlink(missing_ok=True)


def unfinished_file(run_id: str) -> Path:
    """The name tells which run it belongs to, so that a hook on another worker finds it."""
    return FOLDER / f"export-{run_id}.part"
