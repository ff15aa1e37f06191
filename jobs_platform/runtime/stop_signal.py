"""SIGTERM in a pool child: a supervisor often sends it to a whole process group.

The pool would raise it as SystemExit in the middle of somebody's function, as if the function had
failed. When the worker stops gracefully the child goes on with its run; else it dies at once, and
the keeper gives back what it was executing.
"""

from __future__ import annotations

import os
import signal
import time
from types import FrameType

from jobs_platform.runtime.board import Board

PATIENCE_SECONDS = 0.3
"""The worker says on the board what is meant, but perhaps only after the signal."""


def handle_stop_signal(board: Board) -> None:
    """Install the handler. Call it in the main thread of a pool child, after the pool's own."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not board.is_stopping_at_once and time.monotonic() < deadline:
            time.sleep(0.01)
        if not board.is_stopping or board.is_stopping_at_once:
            os.kill(os.getpid(), signal.SIGKILL)

    signal.signal(signal.SIGTERM, stop)
