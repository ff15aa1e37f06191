"""The memory that an attempt may use, enforced by the kernel where it has a process of its own.

By RLIMIT_DATA, which counts what is allocated; RLIMIT_AS would also count what is merely mapped.
"""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_STATUS = Path("/proc/self/status")


@contextmanager
def limited(size: int) -> Iterator[None]:
    """Within, this process may allocate `size` bytes beside what it uses already; beyond that
    Python raises MemoryError. Without effect where the kernel does not tell what is used."""
    used = allocated_bytes()
    if used is None:
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    bounds = [bound for bound in (soft, hard) if bound != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min([used + size, *bounds]), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def allocated_bytes() -> int | None:
    """What RLIMIT_DATA counts of this process; None where it cannot be known."""
    try:
        text = _STATUS.read_text("ascii")
    except OSError:
        return None
    found = [line.split()[1] for line in text.splitlines() if line.startswith("VmData:")]
    return int(found[0]) * 1024 if found else None
