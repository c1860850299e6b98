"""How the text of a line is shown once its kind is known: wrapped with its markup, as it is, or in colours."""

from __future__ import annotations

from typing import Protocol

from llamachat.ui.markdown.code import MAX_LINE, Highlighter
from llamachat.ui.markdown.inline import Inline
from llamachat.ui.markdown.page import Page
from llamachat.ui.markdown.width import TAB, expand_tabs
from llamachat.ui.markdown.wrap import Wrapper
from llamachat.ui.theme import Look


class Leaf(Protocol):
    """The rest of a line, piece by piece. Whoever owns the page ends the line."""

    def feed(self, text: str) -> None: ...

    def end(self) -> None: ...


class Text:
    """A line of a paragraph or a heading."""

    def __init__(self, page: Page, *base: Look) -> None:
        self._wrapper = Wrapper(page, page.theme.paint)
        self._inline = Inline(page.theme, self._wrapper.put, base)

    def feed(self, text: str) -> None:
        self._inline.feed(text.replace("\t", " " * TAB))

    def end(self) -> None:
        self._inline.end()
        self._wrapper.end()


class Plain:
    """A line as it was written. The terminal wraps it."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._column = 0
        page.open_line()

    def feed(self, text: str) -> None:
        text, self._column = expand_tabs(text, self._column)
        self._page.write(text)

    def end(self) -> None:
        pass


class Coloured:
    """A line of code, held until it is whole. One that is too long for that is plain."""

    def __init__(self, page: Page, highlighter: Highlighter) -> None:
        self._page = page
        self._highlighter = highlighter
        self._held = ""
        self._plain: Plain | None = None

    def feed(self, text: str) -> None:
        if self._plain:
            self._plain.feed(text)
            return
        self._held += text
        if len(self._held) > MAX_LINE:
            self._plain = Plain(self._page)
            self._plain.feed(self._held)

    def end(self) -> None:
        if not self._plain:
            text, _ = expand_tabs(self._held, 0)
            self._page.open_line()
            self._page.write(self._highlighter.line(text))
