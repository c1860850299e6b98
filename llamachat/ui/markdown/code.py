"""Fenced code: the block, and the colours of its lines.

A line's colours depend on the lines up to it alone. They come from a window of lines before it, which begins
where nothing is open: at a line that is not indented and in no string or comment, or after `_MAX_LINES`.
"""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any, Protocol

from llamachat.ui.theme import Look, Theme

MAX_LINE = 400  # characters; longer lines have no colours: some lexers take cubic time

_MAX_LINES = 30
_MAX_CHARACTERS = 4000
# Behind the line, so that lexers that know only whole comments see one that is still open.
_CLOSERS = "\n*/-->"
_LANGUAGE = re.compile(r"[\s{.]*([\w+#-]+)")
_WITHOUT_COLOURS = frozenset({"text", "txt", "plain", "plaintext", "none"})
_LOOKS = {
    ("Keyword",): Look.KEYWORD,
    ("Keyword", "Constant"): Look.NUMBER,
    ("Keyword", "Type"): Look.BUILTIN,
    ("Operator", "Word"): Look.KEYWORD,
    ("Literal", "String"): Look.STRING,
    ("Literal", "Number"): Look.NUMBER,
    ("Literal", "Date"): Look.NUMBER,
    ("Comment",): Look.COMMENT,
    ("Comment", "Preproc"): Look.BUILTIN,
    ("Comment", "PreprocFile"): Look.STRING,
    ("Name", "Function"): Look.NAME,
    ("Name", "Class"): Look.NAME,
    ("Name", "Attribute"): Look.NAME,
    ("Name", "Builtin"): Look.BUILTIN,
    ("Name", "Decorator"): Look.BUILTIN,
    ("Name", "Exception"): Look.BUILTIN,
    ("Name", "Variable"): Look.NAME,
    ("Name", "Tag"): Look.KEYWORD,
    ("Generic", "Inserted"): Look.INSERTED,
    ("Generic", "Deleted"): Look.DELETED,
    ("Generic", "Heading"): Look.STRONG,
    ("Generic", "Subheading"): Look.HEADING,
    ("Generic", "Prompt"): Look.PROMPT,
}

TokenType = tuple[str, ...]


class Lexer(Protocol):
    """What we use of pygments: tokens as (start, type, text). A token type is a tuple of names."""

    def get_tokens_unprocessed(self, text: str) -> Any: ...


@dataclass(slots=True)
class Fence:
    """A fenced block that is open."""

    character: str
    length: int
    indent: int
    highlighter: Highlighter | None

    def closes(self, line: str) -> bool:
        mark = line.rstrip(" \t")
        return len(mark) >= self.length and not mark.strip(self.character)

    def may_close(self, line: str) -> bool:
        """Whether more characters could make this beginning of a line the closing fence."""
        return not line.rstrip(" \t").strip(self.character)

    def skip_line(self) -> None:
        """A blank line: the lexer should know of it."""
        if self.highlighter:
            self.highlighter.line("")


def highlighter_for(info: str, theme: Theme) -> Highlighter | None:
    """For the language that an info string begins with: `python`, `{.python}`, `c++ title="x"`."""
    language = _LANGUAGE.match(info)
    if theme.is_bare or not language or language[1].lower() in _WITHOUT_COLOURS:
        return None
    pygments = importlib.import_module("pygments.lexers")
    try:
        lexer: Lexer = pygments.get_lexer_by_name(language[1].lower(), startinline=True)
    except importlib.import_module("pygments.util").ClassNotFound:
        return None
    return Highlighter(lexer, theme)


class Highlighter:
    """The lines of one block, one after another."""

    def __init__(self, lexer: Lexer, theme: Theme) -> None:
        self._lexer = lexer
        self._theme = theme
        self._window: list[str] = []
        self._n_characters = 0  # in the window
        self._is_open = False  # whether a string or a comment goes on in the next line

    def line(self, line: str) -> str:
        """The line with its colours. Only lengths are taken from the lexer, never text."""
        if not self._is_open and (self._is_full or line[:1] not in (" ", ")", "]", "}", "")):
            self._restart()
        painted, is_open = self._paint(line)
        if not (self._is_open and is_open):  # what is inside a string changes nothing behind it
            self._window.append(line)
            self._n_characters += len(line) + 1
        self._is_open = is_open
        return painted

    @property
    def _is_full(self) -> bool:
        return len(self._window) >= _MAX_LINES or self._n_characters >= _MAX_CHARACTERS

    def _restart(self) -> None:
        self._window.clear()
        self._n_characters = 0

    def _paint(self, line: str) -> tuple[str, bool]:
        """The painted line, and whether what stands at its end goes on in the next."""
        before = "".join(f"{earlier}\n" for earlier in self._window)
        end = len(before) + len(line)
        parts: list[tuple[str, Look | None]] = []
        position = len(before)
        for start, kind, text in self._lexer.get_tokens_unprocessed(before + line + _CLOSERS):
            stop = min(start + len(text), end)
            if stop > position:
                parts.append((line[position - len(before) : stop - len(before)], _look(kind)))
                position = stop
            if start + len(text) > end:
                return self._join(parts, line[position - len(before) :]), _goes_on(kind)
        return self._join(parts, line[position - len(before) :]), False

    def _join(self, parts: list[tuple[str, Look | None]], rest: str) -> str:
        joined = ((look, "".join(text for text, _ in group)) for look, group in groupby(parts, key=itemgetter(1)))
        painted = (self._theme.paint(text, look) if look and not text.isspace() else text for look, text in joined)
        return "".join(painted) + rest


def _look(kind: TokenType) -> Look | None:
    """Of the token type, or the nearest above it that has one."""
    names = tuple(kind)
    while names:
        if look := _LOOKS.get(names):
            return look
        names = names[:-1]
    return None


def _goes_on(kind: TokenType) -> bool:
    """Whether the token that the line's end is in goes on: a comment to the end of the line does not."""
    names = tuple(kind)
    is_block_comment = names[:1] == ("Comment",) and names[1:2] not in (("Single",), ("Preproc",), ("Hashbang",))
    return is_block_comment or names[:2] == ("Literal", "String")
