"""Machines: the presets, and those that a project adds."""

from __future__ import annotations

from typing import Any

import pytest

from jobs_platform.domain.configuration import Configuration
from jobs_platform.domain.errors import ConfigurationError, InvalidOptionError
from jobs_platform.domain.machines import GIGABYTE, PRESETS, Machine


def test_the_presets_are_those_of_the_field() -> None:
    shown = {name: (machine.cpu, machine.memory_gb) for name, machine in PRESETS.items()}
    assert shown == {
        "micro": (0.25, 0.25),
        "small-1x": (0.5, 0.5),
        "small-2x": (1, 1),
        "medium-1x": (1, 2),
        "medium-2x": (2, 4),
        "large-1x": (4, 8),
        "large-2x": (8, 16),
    }
    assert PRESETS["micro"].memory_bytes == GIGABYTE // 4


def test_a_project_adds_machines_and_changes_presets() -> None:
    own = {"gpu": Machine(cpu=8, memory_gb=64), "micro": {"cpu": 1, "memory_gb": 0.1}}
    read = Configuration.from_mapping({"MACHINES": own, "MACHINE": "gpu"})
    assert read.machine == "gpu"
    assert read.machines["gpu"] == Machine(cpu=8, memory_gb=64)
    assert read.machines["micro"] == Machine(cpu=1, memory_gb=0.1)
    assert read.machines["large-1x"] == PRESETS["large-1x"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"MACHINES": ["gpu"]}, "must be a dict"),
        ({"MACHINES": {"a b": {"cpu": 1, "memory_gb": 1}}}, "1 to 64 letters"),
        ({"MACHINES": {"default": {"cpu": 1, "memory_gb": 1}}}, "without a machine"),
        ({"MACHINES": {"gpu": {"cpu": 1}}}, "needs cpu and memory_gb of 'gpu'"),
        ({"MACHINES": {"gpu": {"cpu": 1, "memory_gb": 1, "disk": 2}}}, "nothing else"),
        ({"MACHINES": {"gpu": {"cpu": 1, "memory_gb": 0}}}, "not a number above 0"),
        ({"MACHINES": {"gpu": {"cpu": 1, "memory_gb": 1}}, "MACHINE": "cpu"}, 'Did you mean "gpu"'),
    ],
)
def test_a_wrong_machine_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        Configuration.from_mapping(settings)


@pytest.mark.parametrize("value", [0, -1, float("inf"), "1", True, None])
def test_sizes_are_numbers_above_0(value: Any) -> None:
    with pytest.raises(InvalidOptionError, match=r"machine\.cpu"):
        Machine(cpu=value, memory_gb=1)
    with pytest.raises(InvalidOptionError, match=r"machine\.memory_gb"):
        Machine(cpu=1, memory_gb=value)
