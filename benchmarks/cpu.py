"""Where the processor's time goes: seconds used by the parts of a running system."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from contextlib import suppress

import psutil

PARTS = ("main", "children", "beside", "Postgres", "Valkey")
"""A worker's main process, its pool, keeper and beat, and the servers."""
_BESIDE = ("jobs_platform.runtime.keeper", "beat")

Seconds = dict[str, float]


def seconds_used(workers: Iterable[int], *, postgres: int, valkey: int) -> Seconds:
    """CPU seconds since their start, by part."""
    used: Counter[str] = Counter()
    for pid in workers:
        for process in _family(pid):
            with suppress(psutil.Error):
                used[_part(process, pid)] += _seconds(process)
    for name, pid in (("Postgres", postgres), ("Valkey", valkey)):
        for process in _family(pid):
            with suppress(psutil.Error):
                used[name] += _seconds(process)
        with suppress(psutil.Error):
            gone = psutil.Process(pid).cpu_times()
            used[name] += gone.children_user + gone.children_system
    return {part: used[part] for part in PARTS}


def micros_per_job(before: Seconds, after: Seconds, jobs: int) -> Seconds:
    """Microseconds for each job, by part."""
    return {part: (after[part] - before[part]) / jobs * 1e6 for part in PARTS}


class Strangers:
    """How much of the machine others use meanwhile: what spoils a measurement."""

    def __init__(self) -> None:
        self._began = self._now()

    @property
    def share(self) -> float:
        """Between 0 and 1, since this was made."""
        began, now = self._began, self._now()
        everybody, own, whole = (later - sooner for sooner, later in zip(began, now, strict=True))
        return max(0.0, (everybody - own) / whole) if whole else 0.0

    def _now(self) -> tuple[float, float, float]:
        """CPU seconds of all processes, of ours, and those that there were to be had."""
        times = psutil.cpu_times()
        whole = sum(times[:8])  # guests are counted in `user` already
        own = 0.0
        for process in _family(psutil.Process().pid):
            with suppress(psutil.Error):
                own += sum(process.cpu_times()[:4])
        return whole - times.idle - getattr(times, "iowait", 0.0), own, whole


def _part(process: psutil.Process, main: int) -> str:
    words = process.cmdline()
    if any(word in words for word in _BESIDE):
        return "beside"
    return "main" if process.pid == main else "children"


def _seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _family(pid: int) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    return []
