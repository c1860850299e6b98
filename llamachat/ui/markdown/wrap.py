"""Words into lines: text comes in pieces of any size, lines go out as soon as they are certain.

Lines end at spaces, and between ideographs. What no line end may divide is a unit; it is held until it is
complete, and one that is wider than a line is cut between clusters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import groupby
from operator import itemgetter
from typing import Protocol

from llamachat.ui.markdown.width import clusters, may_break, width_of
from llamachat.ui.theme import Look

Looks = tuple[Look, ...]
Run = tuple[str, Looks]
Paint = Callable[..., str]

_PIECES = re.compile(r" +|[^ ]+")


class Lines(Protocol):
    """Where lines are written."""

    def open_line(self) -> int:
        """End the line before, if there is one, and begin another; how many columns it has."""
        ...

    def write(self, text: str) -> None: ...


class Wrapper:
    def __init__(self, lines: Lines, paint: Paint) -> None:
        self._lines = lines
        self._paint = paint
        self._reset()

    def _reset(self) -> None:
        self._is_open = False
        self._limit = 0  # columns of the line
        self._room = 0  # and those left of it
        self._unit: list[Run] = []
        self._unit_width = 0
        self._last = ""  # the unit's last cluster
        self._tail = ""  # text behind the unit whose last cluster may still grow
        self._looks: Looks = ()
        self._gap = 0  # spaces before the unit
        self._gap_looks: Looks = ()

    def put(self, text: str, looks: Looks = ()) -> None:
        """Text without tabs and control characters."""
        if not text:
            return
        if not self._is_open:
            self._open_line()
            self._is_open = True
        if looks != self._looks:
            self._settle()
            self._looks = looks
        text, self._tail = self._tail + text, ""
        for piece in _PIECES.findall(text):
            if piece[0] == " ":
                self._end_unit()
                self._gap_looks = looks if not self._gap or looks == self._gap_looks else ()
                self._gap += len(piece)
            else:
                self._tail = piece
        self._advance()

    def end(self) -> None:
        """Write what is left of the line. Whoever owns the lines ends it."""
        if self._is_open:
            self._end_unit()
            self._reset()

    def _end_unit(self) -> None:
        self._settle()
        self._place()

    def _settle(self) -> None:
        """Nothing will extend the tail any more."""
        tail, self._tail = self._tail, ""
        if tail.isascii() and self._unit_width + len(tail) <= self._limit:
            self._append(tail, len(tail))
        else:
            self._append_clusters(clusters(tail))

    def _advance(self) -> None:
        """Move from the tail what is certain, where that may complete a unit or a line."""
        if self._tail.isascii() and self._unit_width + len(self._tail) <= self._limit:
            return
        *certain, self._tail = clusters(self._tail)
        self._append_clusters(certain)

    def _append_clusters(self, parts: Iterable[str]) -> None:
        for cluster in parts:
            self._append(cluster, width_of(cluster))

    def _append(self, text: str, width: int) -> None:
        """Ends the unit before the text where a line may end there, and where the unit would become too wide."""
        if not text:
            return
        if self._last and may_break(self._last, text):
            self._place()
        elif self._unit and self._unit_width + width > self._limit:
            self._place()
            self._room = 0
        self._unit.append((text, self._looks))
        self._unit_width += width
        self._last = text

    def _place(self) -> None:
        """Write the unit, on the next line if it has no room on this one."""
        if not self._unit:
            return
        if self._gap + self._unit_width > self._room:
            if self._room < self._limit:
                self._open_line()
            self._gap = 0
        (first, looks), *rest = _merged(self._unit)
        gap = " " * self._gap
        start = self._paint(gap + first, *looks) if looks == self._gap_looks else gap + self._paint(first, *looks)
        self._lines.write(start + "".join(self._paint(text, *looks) for text, looks in rest))
        self._room -= self._gap + self._unit_width
        self._unit, self._unit_width, self._last, self._gap = [], 0, "", 0

    def _open_line(self) -> None:
        self._limit = self._room = self._lines.open_line()


def _merged(runs: Iterable[Run]) -> list[Run]:
    """Neighbours of one look as one."""
    return [("".join(text for text, _ in group), looks) for looks, group in groupby(runs, key=itemgetter(1))]
