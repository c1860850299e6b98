"""Where code is in Markdown: fenced blocks and what is in them, and spans between backticks.

Line by line, by CommonMark's rules for fences; where models are careless it is lenient: code indented less than its
fence still belongs to it. An answer is code as it was meant to be, not as a renderer would punish it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

Span = tuple[int, int]

_QUOTE = re.compile(r" {0,3}> ?")
_ITEMS = re.compile(r"(?:[ \t]*(?:[-*+]|\d{1,9}[.)])(?=[ \t]))*[ \t]*")
_OPENING = re.compile(r"`{3,}(?=[^`]*$)|~{3,}")  # the language after backticks contains none
_PARAGRAPH_END = re.compile(r"\n[ \t\r]*\n")
_TICKS = re.compile("`+")
_TAB = 4


@dataclass(slots=True)
class _Block:
    """A fenced block: its place, and its lines without what quotes and lists put in front of them."""

    start: int
    n_quotes: int
    indent: int  # columns before the fence
    fence: str
    end: int = 0
    lines: list[str] = field(default_factory=list)
    is_closed: bool = False

    def inside(self, line: str) -> str | None:
        """The line as the block sees it; None if the quote that the block is in has ended."""
        n_quotes, rest = _unquoted(line, self.n_quotes)
        return _dedented(rest, self.indent) if n_quotes == self.n_quotes else None

    def closes(self, line: str) -> bool:
        mark = line.strip()
        is_fence = len(mark) >= len(self.fence) and set(mark) == {self.fence[0]}
        return is_fence and _indent(line) < _TAB

    def close(self, end: int) -> _Block:
        self.end, self.is_closed = end, True
        return self


def code_blocks(markdown: str) -> tuple[str, ...]:
    """What is in each fenced block, without its last line end. One that is not closed ends with the text."""
    return tuple("\n".join(block.lines) for block in _blocks(markdown))


def has_open_fence(text: str) -> bool:
    """Whether the text ends inside a fenced block."""
    return any(not block.is_closed for block in _blocks(text))


def code_spans(markdown: str) -> tuple[Span, ...]:
    """Everything that is code, fences and backticks included: offsets, in order."""
    spans: list[Span] = []
    position = 0
    for block in _blocks(markdown):
        spans += _inline_spans(markdown, position, block.start)
        spans.append((block.start, block.end))
        position = block.end
    return (*spans, *_inline_spans(markdown, position, len(markdown)))


def _blocks(markdown: str) -> Iterator[_Block]:
    block: _Block | None = None
    item = end = 0  # `item`: columns before the text of the list item that may go on here
    for line in markdown.removesuffix("\n").split("\n"):
        start, end = end, end + len(line) + 1
        if block:
            inner = block.inside(line)
            if inner is not None and not block.closes(inner):
                block.lines.append(inner)
                continue
            yield block.close(start if inner is None else min(end, len(markdown)))
            block = None
            if inner is not None:
                continue
        block, item = _opened(line, start, item)
    if block:
        block.end = len(markdown)
        yield block


def _opened(line: str, start: int, item: int) -> tuple[_Block | None, int]:
    """The block that this line opens, and how far a list item's text is indented from here on.

    A fence that is indented by four columns more than the text around it is none: that is a fence being shown.
    """
    n_quotes, rest = _unquoted(line)
    markers = _ITEMS.match(rest)
    assert markers is not None  # it matches nothing, too
    indent = _width(markers[0])
    if markers[0].strip():
        item = indent
    elif rest.strip() and not indent:
        item = 0
    fence = _OPENING.match(rest, markers.end())
    return (_Block(start, n_quotes, indent, fence[0]) if fence and indent < item + _TAB else None), item


def _unquoted(line: str, most: int | None = None) -> tuple[int, str]:
    """How many quotes (at most `most`) the line is in, and the rest of it."""
    n_quotes, rest = 0, line
    while n_quotes != most and (mark := _QUOTE.match(rest)):
        n_quotes, rest = n_quotes + 1, rest[mark.end() :]
    return n_quotes, rest


def _width(text: str) -> int:
    """Columns of list markers and white space."""
    return len(text.expandtabs(_TAB))


def _indent(line: str) -> int:
    return _width(line[: len(line) - len(line.lstrip(" \t"))])


def _dedented(line: str, width: int) -> str:
    """The line without white space in its first `width` columns."""
    column = 0
    for index, character in enumerate(line):
        if column >= width or character not in " \t":
            return line[index:]
        column += 1 if character == " " else _TAB - column % _TAB
    return ""


def _inline_spans(text: str, start: int, end: int) -> Iterator[Span]:
    """Spans between runs of as many backticks each, within one paragraph."""
    for paragraph_end in (*(match.start() for match in _PARAGRAPH_END.finditer(text, start, end)), end):
        yield from _paired([run.span() for run in _TICKS.finditer(text, start, paragraph_end)])
        start = paragraph_end


def _paired(runs: Sequence[Span]) -> Iterator[Span]:
    """From each run to the next of its length. The nexts are looked up once: a text may be backticks alone."""
    following: list[int | None] = [None] * len(runs)
    latest: dict[int, int] = {}
    for index, (start, end) in reversed(list(enumerate(runs))):
        following[index] = latest.get(end - start)
        latest[end - start] = index
    index = 0
    while index < len(runs):
        partner = following[index]
        if partner is not None:
            yield runs[index][0], runs[partner][1]
            index = partner
        index += 1
