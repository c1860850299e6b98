"""A measured ratio and its bar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Row:
    """What was measured against what; the ratio, its bar, and the figure behind it."""

    what: str
    against: str
    ratio: float
    comparison: str
    bar: float
    figure: str

    @property
    def is_met(self) -> bool:
        return self.ratio >= self.bar if self.comparison == ">=" else self.ratio <= self.bar

    def line(self) -> str:
        mark = "yes" if self.is_met else "NO"
        bar = f"{self.comparison.replace('>=', '≥').replace('<=', '≤')} {self.bar:g}"
        return f"| {self.what} | {self.against} | {self.ratio:.2f} | {bar} | {mark} | {self.figure} |"


HEADER = "| what | against | measured | bar | met | figure |\n|---|---|---|---|---|---|"


def in_seconds(found: Sequence[float]) -> str:
    """A median and its spread."""
    return f"{median(found):.2f} s ({min(found):.2f} to {max(found):.2f})"
