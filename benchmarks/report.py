"""A measured ratio and its bar."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.starter import starter


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


def print_measured(measure: Callable[[Path, int], Iterable[Row]], program: str, description: str | None) -> None:
    """A benchmark of one model as a program: its options, and its rows as they come."""
    parser = argparse.ArgumentParser(prog=program, description=description)
    parser.add_argument("--model", type=Path, default=starter())
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    print(HEADER)
    for row in measure(arguments.model, arguments.rounds):
        print(row.line(), flush=True)
