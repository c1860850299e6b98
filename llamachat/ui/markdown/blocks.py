"""What a line of Markdown is, decided by its beginning: the containers it is in, and its block.

A line's beginning is held until its kind is certain, at most as long as the limits below say; from then on its
text goes to the leaf that shows this kind. From one line to the next there are only the containers, an open fence
and a table.
"""

from __future__ import annotations

import re

from llamachat.ui.markdown.code import Fence, highlighter_for
from llamachat.ui.markdown.leaves import Coloured, Leaf, Plain, Text
from llamachat.ui.markdown.line import Line
from llamachat.ui.markdown.page import Container, Item, Page, Quote
from llamachat.ui.markdown.table import Table
from llamachat.ui.markdown.width import expand_tabs, width_of
from llamachat.ui.theme import Look

_MAX_DEPTH = 16  # containers in each other; further markers are text
_MAX_RULE = 200  # characters of a rule
_MAX_FENCE = 400  # of a line that opens or closes a fence
_MAX_ROW = 20_000  # of a table's row
_INDENT = 4  # columns that make a line preformatted
_NESTING = 2  # columns behind a list marker's place that make a line part of its item

_RULE = re.compile(r"([-*_])(?:[ \t]*\1){2,}[ \t]*")
_HEADING = re.compile(r"(#{1,6})[ \t]{1,100}(?=[^ \t])")
_FENCE = re.compile(r"(?P<run>`{3,})(?P<info>[^`]*)|(?P<waves>~{3,})(?P<note>.*)")
_MARKER = re.compile(r"(?P<mark>[-+*]|\d{1,9}[.)])(?P<space>[ \t]{1,100})(?:\[(?P<box>[ xX])\][ \t]{1,100})?(?=[^ \t])")
_LONE_MARKER = re.compile(r"(?P<mark>[-+*]|\d{1,9}[.)])(?P<space>[ \t]{0,100})(?P<box>)")
# What may still become one of them with more text, and how long it is waited for.
_MAYBE = (
    (re.compile(r"([-*_])(?:[ \t]*\1)*[ \t]*"), _MAX_RULE),
    (re.compile(r"#{1,6}[ \t]{0,100}"), _MAX_RULE),
    (re.compile(r"`{1,2}|~{1,2}|`{3,}[^`]*|~{3,}.*"), _MAX_FENCE),
    (re.compile(r"(?:[-+*]|\d{1,9}[.)]?)(?:[ \t]{1,100}(?:\[(?:[ xX](?:\][ \t]{0,100})?)?)?)?"), _MAX_FENCE),
)


class Blocks:
    """Sanitised Markdown in, lines on the page out."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._fence: Fence | None = None
        self._table: Table | None = None
        self._begin_line()

    def feed(self, text: str) -> None:
        first, *others = text.split("\n")
        self._add(first)
        for part in others:
            self._end_line()
            self._add(part)

    def flush(self) -> None:
        """The text ends here, also in the middle of a line. What is open is closed."""
        self._end_line()
        self._close_block()

    # A line

    def _begin_line(self) -> None:
        self._line = Line()
        self._leaf: Leaf | None = None

    def _add(self, text: str) -> None:
        if self._leaf:
            self._leaf.feed(text)
        elif text:
            self._line.add(text)
            self._decide(is_end=False)

    def _end_line(self) -> None:
        if not self._leaf:
            self._decide(is_end=True)
        if self._leaf:
            self._leaf.end()
        self._page.end_line()
        self._begin_line()

    def _decide(self, *, is_end: bool) -> None:
        """Go on until there is a leaf, or all is used, or more text is needed."""
        while not self._leaf and self._step(is_end=is_end):
            pass

    def _step(self, *, is_end: bool) -> bool:
        if not self._line.text:
            if is_end:
                self._end_blank_line()
            return False
        if self._line.n_matched < len(self._page.containers):
            self._match(self._page.containers[self._line.n_matched])
            return True
        if self._fence:
            return self._read_code(self._fence, is_end=is_end)
        return self._open(is_end=is_end)

    def _begin(self, leaf: Leaf, text: str) -> bool:
        """All that follows in the line goes to this leaf."""
        self._leaf = leaf
        leaf.feed(text)
        return False

    # Containers

    def _match(self, container: Container) -> None:
        """Whether the line is in this container, too. If not, it is closed with all that is in it."""
        line = self._line
        if isinstance(container, Quote) and self._is_quote_marker:
            line.use(1, skips_space=True)
        elif isinstance(container, Item) and (line.indent >= container.threshold or self._is_careless_code):
            line.indent -= min(line.indent, container.content)
        else:
            self._close_containers()
            return
        line.n_matched += 1

    @property
    def _is_quote_marker(self) -> bool:
        return self._line.text[0] == ">" and not self._is_preformatted

    @property
    def _is_careless_code(self) -> bool:
        """Code in a list that is indented less than its fence. Only a quote's end would end it."""
        containers = self._page.containers[self._line.n_matched :]
        return bool(self._fence) and not any(isinstance(container, Quote) for container in containers)

    @property
    def _is_preformatted(self) -> bool:
        """Four columns of white space, but not in a list, where models indent as they like."""
        containers = self._page.containers[: self._line.n_matched]
        return self._line.indent >= _INDENT and not any(isinstance(container, Item) for container in containers)

    def _close_containers(self) -> None:
        self._close_block()
        del self._page.containers[self._line.n_matched :]

    def _end_blank_line(self) -> None:
        """It ends quotes and tables, not lists and fences."""
        containers = self._page.containers
        while self._line.n_matched < len(containers) and isinstance(containers[self._line.n_matched], Item):
            self._line.n_matched += 1
        if self._line.n_matched < len(containers):
            self._close_containers()
        if self._fence:
            self._page.blank_in_code()
            self._fence.skip_line()
        else:
            self._close_block()
            self._page.blank()

    def _open_container(self) -> bool:
        """Whether one begins here."""
        if len(self._page.containers) >= _MAX_DEPTH:
            return False
        if self._is_quote_marker:
            self._page.containers.append(Quote())
            self._line.n_matched += 1
            self._line.use(1, skips_space=True)
            return True
        if marker := _MARKER.match(self._line.text):
            self._add_item(marker)
        return bool(marker)

    def _add_item(self, marker: re.Match[str]) -> None:
        mark, glyphs, containers = marker["mark"], self._page.theme.glyphs, self._page.containers
        n_spaces = self._line.columns_of(len(mark), marker["space"])
        is_bullet = not mark[0].isdigit()
        level = sum(isinstance(container, Item) and container.is_bullet for container in containers)
        shown = glyphs.bullet(level) if is_bullet else mark
        if marker["box"]:
            box = glyphs.unchecked if marker["box"] == " " else glyphs.checked
            shown = box if is_bullet else f"{mark} {box}"
        content = self._line.indent + len(mark) + (n_spaces if 1 <= n_spaces <= _INDENT else 1)
        containers.append(Item(shown, width_of(shown) + 1, self._line.indent + _NESTING, content, is_bullet))
        self._line.n_matched += 1
        self._line.use(marker.end())

    # Blocks

    def _open(self, *, is_end: bool) -> bool:
        """A block, or a container, begins here."""
        text = self._line.text
        if self._is_preformatted:
            self._close_block()
            return self._begin(Plain(self._page), " " * self._line.indent + text)
        if text[0] == "|" and len(text) <= _MAX_ROW:
            if is_end:
                self._read_row(text.replace("\t", " "))
            return False
        if not is_end and any(len(text) <= limit and kind.fullmatch(text) for kind, limit in _MAYBE):
            return False
        self._close_block()
        if is_end and self._read_whole_line(text):
            return False
        return self._open_container() or self._begin_text(text)

    def _begin_text(self, text: str) -> bool:
        """A heading, or a line of a paragraph. A heading that is not painted keeps its mark."""
        if not (heading := _HEADING.match(text)):
            return self._begin(Text(self._page), text)
        look = Look.TITLE if len(heading[1]) == 1 else Look.HEADING
        start = heading.end() if self._page.theme.shows(look) else 0
        return self._begin(Text(self._page, look), text[start:])

    def _read_whole_line(self, line: str) -> bool:
        """Whether it is something that only a whole line can be."""
        if len(line) <= _MAX_RULE and _RULE.fullmatch(line):
            width = self._page.open_line()
            self._page.write(self._page.theme.paint(self._page.theme.glyphs.rule * width, Look.RULE))
        elif len(line) <= _MAX_FENCE and (fence := _FENCE.fullmatch(line)):
            run = fence["run"] or fence["waves"]
            highlighter = highlighter_for(fence["info"] or fence["note"] or "", self._page.theme)
            self._fence = Fence(run[0], len(run), self._line.indent, highlighter)
            self._write_fence(line)
        elif len(self._page.containers) < _MAX_DEPTH and (marker := _LONE_MARKER.fullmatch(line)):
            self._add_item(marker)
            self._page.open_line()
        else:
            return False
        return True

    def _read_code(self, fence: Fence, *, is_end: bool) -> bool:
        indent, text = self._line.indent - fence.indent, self._line.text
        if indent < _INDENT and len(text) <= _MAX_FENCE and fence.may_close(text):
            if not is_end:
                return False
            if fence.closes(text):
                self._fence = None
                self._write_fence(text)
                return False
        leaf = Coloured(self._page, fence.highlighter) if fence.highlighter else Plain(self._page)
        return self._begin(leaf, " " * indent + text)

    def _write_fence(self, line: str) -> None:
        text, _ = expand_tabs(line.rstrip(" \t"), 0)
        self._page.write_line(self._page.theme.paint(text, Look.FENCE))

    def _read_row(self, line: str) -> None:
        if self._table and self._table.is_certain:
            self._table.add(line)
        elif not (self._table and self._table.confirm(line)):
            self._close_block()
            self._table = Table(self._page, line)

    def _close_block(self) -> None:
        """End a fence or a table. A row without a delimiter row behind it was text."""
        table, self._table, self._fence = self._table, None, None
        if table and table.is_certain:
            table.settle()
        elif table:
            text = Text(self._page)
            text.feed(table.header)
            text.end()
            self._page.end_line()
