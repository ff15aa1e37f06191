"""How much is measured: all of it in a quarter of an hour, or an impression in three minutes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from benchmarks.arena import Arena, Scene
from benchmarks.child import BenchmarkError
from benchmarks.contenders import ALL, OURS, Contender
from benchmarks.findings import Section


@dataclass(frozen=True, slots=True)
class Size:
    """Numbers of jobs, for the whole and for the quick run; `tiny` only shows that it works."""

    full: int
    quick: int
    tiny: int = 20


@dataclass(frozen=True, slots=True)
class Plan:
    """What a measurement is given."""

    arena: Arena
    scale: str
    repetitions: int
    contenders: tuple[Contender, ...]
    say: Callable[[str], None]

    def number(self, size: Size) -> int:
        return int(getattr(size, self.scale))

    def rounds(self, wanted: Sequence[Contender], section: Section) -> Iterator[Contender]:
        """Every wanted contender in turn, as often as is repeated; who is left out is noted."""
        taking = [contender for contender in wanted if self._takes(contender, section)]
        for repetition in range(self.repetitions):
            for contender in taking:
                self.say(f"{section.title}: {contender.title} {repetition + 1}/{self.repetitions}")
                yield contender

    @contextmanager
    def scene(self, contender: Contender, section: Section) -> Iterator[Scene]:
        """A scene in the arena. A peer that fails is noted; that we fail is an error."""
        try:
            with self.arena.scene(contender) as scene:
                yield scene
        except BenchmarkError as error:
            if contender is OURS:
                raise
            section.notes.append(f"{contender.title} failed: {error}")

    def repeated(self, repetitions: int) -> Plan:
        return replace(self, repetitions=repetitions)

    def _takes(self, contender: Contender, section: Section) -> bool:
        if contender not in self.contenders:
            section.notes.append(f"{contender.title} was left out.")
            return False
        if not contender.is_installed:
            section.notes.append(f"{contender.title} is not installed: `make bench` does that.")
            return False
        return True


def chosen(names: Sequence[str]) -> tuple[Contender, ...]:
    """Contenders by name; all when there is none."""
    return tuple(contender for contender in ALL if not names or contender.name in names)
