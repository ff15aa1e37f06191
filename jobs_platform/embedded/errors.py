"""The one error of the embedded stack; it must stay importable without the servers' wheels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class EmbeddedStackError(Exception):
    """The embedded stack could not do what it was asked.

    `code` is stable: already_running, data_dir_not_writable, disk_full, not_installed, not_running,
    port_in_use, start_failed, unsupported. The text says what happened and what to do next.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@contextmanager
def writing_into(folder: Path) -> Iterator[None]:
    """Turns what the file system refuses inside the block into an EmbeddedStackError about
    `folder`.
    """
    try:
        yield
    except OSError as error:
        if says_disk_full(str(error)):
            raise disk_full(folder) from error
        raise EmbeddedStackError(
            "data_dir_not_writable",
            f"The data folder {folder} cannot be used ({error.strerror or error}). "
            "Make it writable for this user, "
            "or choose another folder with --data-dir or JOBS_DATA_DIR.",
        ) from error


def says_disk_full(text: str) -> bool:
    return "No space left on device" in text or "Disk quota exceeded" in text


def disk_full(folder: Path) -> EmbeddedStackError:
    return EmbeddedStackError(
        "disk_full",
        f"The disk of {folder} is full. Free some space (the stack needs about 300 "
        "MB), or choose another folder "
        "with --data-dir or JOBS_DATA_DIR.",
    )
