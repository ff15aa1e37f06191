"""Machines: a name for how much processor and memory an attempt may use.

A worker serves the machines that fit where it runs; each is a worker queue of its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from jobs_platform.domain.errors import InvalidOptionError

GIGABYTE = 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What an attempt needs. Memory is enforced in workers with the pool `prefork`, where each
    attempt has a process of its own; with threads it is not, and the processor nowhere."""

    cpu: float
    memory_gb: float

    def __post_init__(self) -> None:
        for option, value in (("cpu", self.cpu), ("memory_gb", self.memory_gb)):
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if not is_number or not math.isfinite(value) or value <= 0:
                reason = "is not a number above 0"
                raise InvalidOptionError(option=f"machine.{option}", value=value, reason=reason)

    @property
    def memory_bytes(self) -> int:
        return int(self.memory_gb * GIGABYTE)


PRESETS: Mapping[str, Machine] = MappingProxyType(
    {
        "micro": Machine(cpu=0.25, memory_gb=0.25),
        "small-1x": Machine(cpu=0.5, memory_gb=0.5),
        "small-2x": Machine(cpu=1, memory_gb=1),
        "medium-1x": Machine(cpu=1, memory_gb=2),
        "medium-2x": Machine(cpu=2, memory_gb=4),
        "large-1x": Machine(cpu=4, memory_gb=8),
        "large-2x": Machine(cpu=8, memory_gb=16),
    }
)

OUT_OF_MEMORY = "OutOfMemory"
"""The name of the error of an attempt that wanted more than its machine has."""


def out_of_memory_message(name: str, machine: Machine | None) -> str:
    """What the error says."""
    has = f" ({machine.memory_gb:g} GB)" if machine else ""
    advice = "name a larger machine, or Retry(out_of_memory=OutOfMemory(machine=…))"
    return f"The attempt ran out of the memory of its machine {name}{has}: {advice}."
