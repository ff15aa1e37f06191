"""What `breakpoint()` calls in a worker that `dev --debug` started: pdb at the terminal.

Inside a run standard output is the run's log; the debugger talks to the real one.
"""

from __future__ import annotations

import pdb  # noqa: T100 - to start it is what this module is for
import sys
from typing import Any

HOOK = f"{__name__}.set_trace"
"""For the variable PYTHONBREAKPOINT."""


def set_trace(*_arguments: Any, **_options: Any) -> None:
    """Stop in the caller's frame."""
    # Ctrl-C stays what it is for a worker: the wish to stop.
    debugger = pdb.Pdb(stdout=sys.__stdout__, nosigint=True)
    debugger.use_rawinput = True  # with line editing; Pdb gives it up for any stream of our own
    debugger.set_trace(sys._getframe(1))
