"""Tables: the header and the first rows settle how wide the columns are, later rows are shown as they come.

Where the terminal is too narrow for all columns, each row is shown as lines of `header: cell`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import zip_longest

from llamachat.ui.markdown.inline import runs_of
from llamachat.ui.markdown.page import Page
from llamachat.ui.markdown.width import width_of
from llamachat.ui.markdown.wrap import Paint, Run, Wrapper
from llamachat.ui.theme import Look

_N_DECIDING = 3  # rows
_MIN_COLUMN = 8  # narrower columns, unless their cells are, would be heaps of letters
_GAP = 3  # columns between cells: a line between two spaces
_DELIMITER_CELL = re.compile(r":?-+:?")
_BORDER = re.compile(r"\\.|(?P<ticks>`+)[^`]+(?P=ticks)(?!`)|(?P<bar>\|)")
_BREAK = re.compile(r"<br */?>", re.IGNORECASE)
_SGR = re.compile(r"\x1b\[[0-9;]*m")

Cell = list[list[Run]]  # lines, before they are wrapped
Row = list[Cell]


@dataclass(frozen=True, slots=True)
class _Column:
    width: int
    limit: int  # how wide a cell may be; the last column has all that is left of the line
    marks: str  # its cell of the delimiter row

    def align(self, text: str, width: int) -> str:
        room = max(0, self.width - width)
        is_centred = self.marks[0] == self.marks[-1] == ":"
        left = room // 2 if is_centred else room if self.marks[-1] == ":" else 0
        return " " * left + text + " " * (room - left)


class Table:
    """Lines that begin with `|`. They are a table once the second is a delimiter row; till then `header` is text."""

    def __init__(self, page: Page, header: str) -> None:
        self.header = header
        self.is_certain = False
        self._page = page
        self._head = [self._parse(cell, Look.TABLE_HEAD) for cell in _cells(header)]
        self._marks: list[str] = []
        self._waiting: list[Row] = []
        self._is_settled = False
        self._columns: list[_Column] = []  # none where the terminal is too narrow

    def confirm(self, line: str) -> bool:
        """Whether this, the second line, makes it a table."""
        self._marks = _cells(line)
        are_delimiters = all(_DELIMITER_CELL.fullmatch(cell) for cell in self._marks)
        self.is_certain = are_delimiters and len(self._marks) == len(self._head)
        return self.is_certain

    def add(self, line: str) -> None:
        """A row. It gets as many cells as the header has; what is too much stands in the last one."""
        cells = _cells(line)
        last = len(self._head) - 1
        if len(cells) > last:
            cells[last:] = [" | ".join(cells[last:])]
        row = [self._parse(cell) for cell in cells + [""] * (last + 1 - len(cells))]
        if self._is_settled:
            self._show(row)
            return
        self._waiting.append(row)
        if len(self._waiting) == _N_DECIDING:
            self.settle()

    def settle(self) -> None:
        """Nothing more is waited for: show what there is."""
        if self._is_settled:
            return
        self._is_settled = True
        naturals = [max(map(_natural, cells)) for cells in zip(self._head, *self._waiting, strict=True)]
        room = self._page.columns() - _GAP * (len(naturals) - 1)
        if widths := _fitted(naturals, room):
            limits = [*widths[:-1], room - sum(widths[:-1])]
            self._columns = [_Column(*column) for column in zip(widths, limits, self._marks, strict=True)]
            self._show(self._head)
            self._show_rule()
        for row in self._waiting:
            self._show(row)
        self._waiting.clear()

    def _parse(self, cell: str, *base: Look) -> Cell:
        return [runs_of(self._page.theme, line.strip(" "), base) for line in _BREAK.split(cell.replace("\\|", "|"))]

    def _show(self, row: Row) -> None:
        if not self._columns:
            self._show_pairs(row)
            return
        theme = self._page.theme
        border = f" {theme.paint(theme.glyphs.columns, Look.RULE)} "
        wrapped = [_CellLines(theme.paint, column.limit).wrap(cell) for cell, column in self._with_columns(row)]
        for texts in zip_longest(*wrapped, fillvalue=("", 0)):
            cells = (column.align(*text) for column, text in zip(self._columns, texts, strict=True))
            self._page.write_line(border.join(cells).rstrip(" "))

    def _with_columns(self, row: Row) -> Iterable[tuple[Cell, _Column]]:
        return zip(row, self._columns, strict=True)

    def _show_rule(self) -> None:
        glyphs = self._page.theme.glyphs
        crossing = f"{glyphs.rule}{glyphs.crossing}{glyphs.rule}"
        rule = crossing.join(glyphs.rule * column.width for column in self._columns)
        self._page.write_line(self._page.theme.paint(rule, Look.RULE))

    def _show_pairs(self, row: Row) -> None:
        """A line for each cell that has something in it."""
        wrapper = Wrapper(self._page, self._page.theme.paint)
        for head, (first, *others) in zip(self._head, row, strict=True):
            label = [run for line in head for run in line]
            if label:
                label.append((": ", (Look.TABLE_HEAD,)))
            if first or others:
                for line in (label + first, *others):
                    _put_line(wrapper, line)
                    self._page.end_line()


class _CellLines:
    """The lines of one cell."""

    def __init__(self, paint: Paint, width: int) -> None:
        self._paint = paint
        self._width = width
        self._lines: list[str] = []

    def wrap(self, cell: Cell) -> list[tuple[str, int]]:
        """Each line with how many columns it takes."""
        wrapper = Wrapper(self, self._paint)
        for line in cell:
            _put_line(wrapper, line)
        return [(line, width_of(_SGR.sub("", line))) for line in self._lines]

    def open_line(self) -> int:
        self._lines.append("")
        return self._width

    def write(self, text: str) -> None:
        self._lines[-1] += text


def _put_line(wrapper: Wrapper, line: list[Run]) -> None:
    for text, looks in line:
        wrapper.put(text, looks)
    wrapper.end()


def _cells(line: str) -> list[str]:
    """The cells of a row. A bar behind a backslash or within a code span is no border."""
    row = line.strip(" ").removeprefix("|")
    bars = [match.start() for match in _BORDER.finditer(row) if match["bar"]]
    starts = [0, *(bar + 1 for bar in bars)]
    cells = [row[start:end].strip(" ") for start, end in zip(starts, [*bars, len(row)], strict=True)]
    return cells[:-1] if len(cells) > 1 and not cells[-1] else cells


def _natural(cell: Cell) -> int:
    """Columns of the widest line."""
    return max(1, *(sum(width_of(text) for text, _ in line) for line in cell))


def _fitted(widths: list[int], room: int) -> list[int] | None:
    """The columns' widths, the widest lowered to one level until all fit. None if that is too narrow to read."""
    n_left = len(widths)
    for width in sorted(widths):
        level = max(0, room) // n_left
        if width > level:
            return [min(width, level) for width in widths] if level >= _MIN_COLUMN else None
        room -= width
        n_left -= 1
    return widths
