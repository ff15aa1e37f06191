"""What a measurement finds: rows of figures, and what they say about a target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of one contender: the median of its repetitions and how far they lie apart."""

    subject: str
    samples: tuple[float, ...]
    unit: str
    ratio: float | None = None
    """To the row that the section compares with."""
    note: str = ""

    @property
    def value(self) -> float:
        return median(self.samples)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A target beside what was found."""

    target: str
    found: float
    at_least: float | None = None
    at_most: float | None = None

    @property
    def is_met(self) -> bool:
        low, high = self.at_least, self.at_most
        return (low is None or self.found >= low) and (high is None or self.found <= high)


@dataclass(slots=True)
class Section:
    """All that one measurement has to say."""

    title: str
    rows: list[Row] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """Who was left out and why, and what else a reader must know."""

    def add(self, subject: str, samples: Sequence[float], unit: str, *, note: str = "") -> Row:
        row = Row(subject, tuple(samples), unit, note=note)
        self.rows.append(row)
        return row

    def find(self, subject: str) -> Row | None:
        return next((row for row in self.rows if row.subject == subject), None)

    def compare(self, subject: str) -> None:
        """Say of every row of the same unit how it stands to this one."""
        base = self.find(subject)
        if base is None or not base.value:
            return
        self.rows = [
            Row(row.subject, row.samples, row.unit, row.value / base.value, row.note)
            if row.unit == base.unit
            else row
            for row in self.rows
        ]

    def judge(
        self,
        target: str,
        subject: str,
        against: str,
        *,
        at_least: float | None = None,
        at_most: float | None = None,
    ) -> None:
        """Hold the ratio of two rows against a target; a row that is missing is said to be."""
        found, base = self.find(subject), self.find(against)
        ratio = found.value / base.value if found and base and base.value else None
        self.hold(target, ratio, at_least=at_least, at_most=at_most)

    def hold(
        self,
        target: str,
        found: float | None,
        *,
        at_least: float | None = None,
        at_most: float | None = None,
    ) -> None:
        """Hold a value against a target."""
        if found is None:
            self.notes.append(f"Not judged, a figure is missing: {target}")
        else:
            self.verdicts.append(Verdict(target, found, at_least, at_most))
