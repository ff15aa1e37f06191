"""What speaks for a process having died of its memory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jobs_platform.runtime.memory_watch import MemoryWatch

NOBODY = 2**22 + 1
"""No process has this id."""


class Kernel:
    """The files in which a kernel tells."""

    def __init__(self, folder: Path, *, cgroup: str, counter: str) -> None:
        self.proc, self.cgroup = folder / "proc", folder / "cgroup"
        (self.proc / "self").mkdir(parents=True)
        (self.proc / "self" / "cgroup").write_text(cgroup)
        self._counter = self.cgroup / counter
        self._counter.parent.mkdir(parents=True)
        self.has_killed(0)

    def has_killed(self, count: int) -> None:
        self._counter.write_text(f"oom 7\noom_kill {count}\noom_group_kill 9\n")

    def shows(self, process_id: int, kilobytes: int) -> None:
        folder = self.proc / str(process_id)
        folder.mkdir(exist_ok=True)
        (folder / "status").write_text(f"Name:\tpython\nVmRSS:\t  {kilobytes} kB\n")

    def watch(self) -> MemoryWatch:
        return MemoryWatch(proc=self.proc, cgroup=self.cgroup)


VERSION_2 = {"cgroup": "0::/jobs/worker\n", "counter": "jobs/worker/memory.events"}
NAMESPACE = {"cgroup": "0::/../elsewhere\n", "counter": "memory.events"}
VERSION_1 = {
    "cgroup": "8:pids:/\n4:memory:/jobs\n0::/\n",
    "counter": "memory/jobs/memory.oom_control",
}


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    return Kernel(tmp_path, **VERSION_2)


@pytest.mark.parametrize("version", [VERSION_2, NAMESPACE, VERSION_1])
def test_a_kill_is_noticed_in_its_round_and_not_in_the_next(
    tmp_path: Path, version: dict[str, str]
) -> None:
    kernel = Kernel(tmp_path, **version)
    kernel.has_killed(3)
    watch = kernel.watch()
    watch.count_kills()
    assert not watch.is_out_of_memory(NOBODY, limit=0)
    kernel.has_killed(4)
    watch.count_kills()
    assert watch.is_out_of_memory(NOBODY, limit=0)
    watch.count_kills()
    assert not watch.is_out_of_memory(NOBODY, limit=0)


@pytest.mark.parametrize(("kilobytes", "is_near"), [(80_000, False), (95_000, True)])
def test_a_process_is_judged_by_what_it_used_last(
    kernel: Kernel, kilobytes: int, is_near: bool
) -> None:
    watch = kernel.watch()
    kernel.shows(7, kilobytes)
    watch.look([7])
    kernel.shows(7, 0)  # a zombie uses nothing
    watch.look([7])
    assert watch.is_out_of_memory(7, limit=100_000 * 1024) is is_near
    assert not watch.is_out_of_memory(7, limit=0)


def test_where_the_kernel_tells_nothing_nobody_died_of_memory(tmp_path: Path) -> None:
    watch = MemoryWatch(proc=tmp_path, cgroup=tmp_path)
    watch.look([os.getpid()])
    watch.count_kills()
    assert not watch.is_out_of_memory(os.getpid(), limit=1)
