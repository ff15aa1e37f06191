"""Tell a process that the kernel killed for its memory from one that died otherwise.

The keeper is no parent of the pool's children and does not learn how they ended: it goes by what
they used last, and by the kernel's own count of such kills in this control group.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

NEAR = 0.9
"""A process that used this part of its limit when it was last looked at died of it."""


class MemoryWatch:
    """Looks at processes while they live; asked about them when they are dead."""

    def __init__(
        self, *, proc: Path = Path("/proc"), cgroup: Path = Path("/sys/fs/cgroup")
    ) -> None:
        self._proc = proc
        self._counter = next((path for path in _counters(proc, cgroup) if path.exists()), None)
        self._kills = self._known_kills = self._count()
        self._used: dict[int, int] = {}

    def look(self, process_ids: Iterable[int]) -> None:
        """Note what these use now; the others are forgotten."""
        used = {process_id: self._resident(process_id) for process_id in process_ids}
        # One that has just died uses nothing: what it used before is what counts.
        self._used = {it: size or self._used.get(it, 0) for it, size in used.items()}

    def count_kills(self) -> None:
        """Begin a round: `has_killed` tells what happened since the one before."""
        self._known_kills, self._kills = self._kills, self._count()

    def is_out_of_memory(self, process_id: int, *, limit: int) -> bool:
        """Whether a process that has just died was near its limit (0: none), or the kernel has
        killed some process for its memory in this round."""
        is_near = bool(limit) and self._used.get(process_id, 0) >= NEAR * limit
        return is_near or self._kills > self._known_kills

    def _resident(self, process_id: int) -> int:
        try:
            text = (self._proc / str(process_id) / "status").read_text("utf-8", "replace")
        except OSError:
            return 0
        found = [line.split()[1] for line in text.splitlines() if line.startswith("VmRSS:")]
        return int(found[0]) * 1024 if found else 0

    def _count(self) -> int:
        try:
            text = self._counter.read_text("ascii") if self._counter else ""
        except OSError:
            return 0
        return sum(
            int(line.split()[1]) for line in text.splitlines() if line.startswith("oom_kill ")
        )


def _counters(proc: Path, cgroup: Path) -> Iterable[Path]:
    """Where the kernel counts, in version 2 and 1, with and without a namespace of its own."""
    try:
        lines = (proc / "self" / "cgroup").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    for _, controllers, path in (line.split(":", 2) for line in lines):
        if not controllers:
            yield cgroup / path.lstrip("/") / "memory.events"
        elif "memory" in controllers.split(","):
            yield cgroup / "memory" / path.lstrip("/") / "memory.oom_control"
    yield cgroup / "memory.events"
    yield cgroup / "memory" / "memory.oom_control"
