"""stdout, stderr and `logging` inside a run become its log lines; outside they go where they went.

Which run it is says a context variable, so output of many runs at once does not mix.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable
from typing import Any, Self, TextIO

from jobs_platform.sdk.context import ActiveRun, current_run
from jobs_platform.sdk.logger import fields_text

LOGGING_SOURCE = "logging"

_OWN = ("jobs_platform.engine", "jobs_platform.runtime", "jobs_platform.delivery")
"""What the platform says about itself is not the run's."""

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
_LEVELS = ((logging.ERROR, "error"), (logging.WARNING, "warn"), (logging.INFO, "info"))


class OutputProxy:
    """Stands for a standard stream."""

    def __init__(self, stream: TextIO, source: str) -> None:
        self.stream = stream
        self.source = source

    def write(self, text: str) -> int:
        active = _capturing()
        if active is None or _is_from_logging():
            return self.stream.write(text)
        active.log.feed(text, self.source)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        self.stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


class CaptureHandler(logging.Handler):
    """Turns log records of a run into its log lines."""

    def emit(self, record: logging.LogRecord) -> None:
        active = _capturing()
        if active is None or record.name.startswith(_OWN) or record.levelno < active.log_level:
            return
        try:
            message = self.format(record)
        except Exception:  # noqa: BLE001 - a record whose arguments do not fit must not fail the run
            message = f"{record.msg} {record.args}"
        extra = {key: value for key, value in vars(record).items() if key not in _STANDARD}
        fields = fields_text({"logger": record.name, **extra})
        active.log.add(_level(record.levelno), message, fields, LOGGING_SOURCE)


class Capture:
    """Installs the proxies and the handler, and takes them away again."""

    def __init__(self) -> None:
        self._handler = CaptureHandler()
        self._handler.setFormatter(logging.Formatter("%(message)s"))
        self._streams: tuple[Any, Any] | None = None

    def install(self) -> None:
        """Begin; doing it twice is doing it once."""
        if self._streams is not None:
            return
        self._streams = (sys.stdout, sys.stderr)
        sys.stdout = OutputProxy(sys.stdout, "stdout")
        sys.stderr = OutputProxy(sys.stderr, "stderr")
        logging.getLogger().addHandler(self._handler)

    def remove(self) -> None:
        """As it was before."""
        if self._streams is None:
            return
        sys.stdout, sys.stderr = self._streams
        self._streams = None
        logging.getLogger().removeHandler(self._handler)

    def __enter__(self) -> Self:
        self.install()
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


def _capturing() -> ActiveRun | None:
    """The run whose output this is; None outside one, and in local calls."""
    active = current_run.get()
    return None if active is None or active.is_local else active


def _is_from_logging() -> bool:
    """Whether a stream handler of `logging` writes: the record itself is captured already."""
    return sys._getframe(2).f_globals is vars(logging)


def _level(number: int) -> str:
    return next((name for least, name in _LEVELS if number >= least), "debug")
