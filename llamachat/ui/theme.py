"""How things look: SGR codes and glyphs for a terminal's background, and for what it can do.

The 16 ANSI colours only: they follow the terminal's palette. Each text is painted whole, reset included, so
between any two of them the terminal is as it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum, auto


class Background(StrEnum):
    DARK = "dark"
    LIGHT = "light"


class Look(StrEnum):
    """What a text is. How that is painted is the theme's."""

    TITLE = auto()  # a heading of the first level
    HEADING = auto()
    STRONG = auto()
    EMPHASIS = auto()
    STRIKE = auto()
    CODE = auto()
    LINK = auto()
    URL = auto()
    QUOTE = auto()
    MARKER = auto()
    RULE = auto()
    FENCE = auto()
    TABLE_HEAD = auto()
    KEYWORD = auto()
    STRING = auto()
    COMMENT = auto()
    NUMBER = auto()
    NAME = auto()
    BUILTIN = auto()
    INSERTED = auto()
    DELETED = auto()
    THOUGHT = auto()
    DIM = auto()
    ERROR = auto()
    PROMPT = auto()


_BOLD, _DIM, _ITALIC, _UNDERLINE, _STRIKE = "1", "2", "3", "4", "9"
_ATTRIBUTES = {
    Look.TITLE: f"{_BOLD};{_UNDERLINE}",
    Look.HEADING: _BOLD,
    Look.STRONG: _BOLD,
    Look.EMPHASIS: _ITALIC,
    Look.STRIKE: _STRIKE,
    Look.LINK: _UNDERLINE,
    Look.URL: _DIM,
    Look.QUOTE: _DIM,
    Look.RULE: _DIM,
    Look.FENCE: _DIM,
    Look.TABLE_HEAD: _BOLD,
    Look.KEYWORD: _BOLD,
    Look.COMMENT: f"{_DIM};{_ITALIC}",
    Look.THOUGHT: f"{_DIM};{_ITALIC}",
    Look.DIM: _DIM,
    Look.ERROR: _BOLD,
    Look.PROMPT: _BOLD,
}
# Plain blue is not readable on black, nor is yellow, cyan or anything bright on white.
_RED, _GREEN, _YELLOW, _BLUE, _MAGENTA, _CYAN = "31", "32", "33", "34", "35", "36"
_BRIGHT_RED, _BRIGHT_BLUE = "91", "94"
_COLOURS = {
    Background.DARK: {
        Look.TITLE: _CYAN,
        Look.HEADING: _CYAN,
        Look.CODE: _YELLOW,
        Look.LINK: _BRIGHT_BLUE,
        Look.MARKER: _CYAN,
        Look.KEYWORD: _MAGENTA,
        Look.STRING: _GREEN,
        Look.NUMBER: _CYAN,
        Look.NAME: _BRIGHT_BLUE,
        Look.BUILTIN: _YELLOW,
        Look.INSERTED: _GREEN,
        Look.DELETED: _BRIGHT_RED,
        Look.ERROR: _BRIGHT_RED,
        Look.PROMPT: _GREEN,
    },
    Background.LIGHT: {
        Look.TITLE: _BLUE,
        Look.HEADING: _BLUE,
        Look.CODE: _RED,
        Look.LINK: _BLUE,
        Look.MARKER: _BLUE,
        Look.KEYWORD: _MAGENTA,
        Look.STRING: _GREEN,
        Look.NUMBER: _RED,
        Look.NAME: _BLUE,
        Look.BUILTIN: _MAGENTA,
        Look.INSERTED: _GREEN,
        Look.DELETED: _RED,
        Look.ERROR: _RED,
        Look.PROMPT: _GREEN,
    },
}


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The characters we draw with; each is one column wide, but for the ASCII ellipsis and boxes."""

    bullets: str = "•◦▪"  # by level, the last for all deeper ones
    quote: str = "│"
    rule: str = "─"
    columns: str = "│"  # between the cells of a table
    crossing: str = "┼"
    unchecked: str = "☐"
    checked: str = "☑"
    ellipsis: str = "…"
    prompt: str = "›"
    bar_full: str = "█"  # of a gauge
    bar_empty: str = "░"

    def bullet(self, level: int) -> str:
        return self.bullets[min(level, len(self.bullets) - 1)]


_ASCII = Glyphs("*-+", "|", "-", "|", "+", "[ ]", "[x]", "...", ">", "#", "-")


@dataclass(frozen=True, slots=True)
class Theme:
    glyphs: Glyphs
    codes: Mapping[Look, str]

    @property
    def is_bare(self) -> bool:
        """Whether nothing is painted at all."""
        return not self.codes

    def shows(self, look: Look) -> bool:
        """Whether a text of this look can be told from another. What cannot keeps its marks."""
        return look in self.codes

    def paint(self, text: str, *looks: Look) -> str:
        """SGR on, the text, SGR off. The text itself if there is nothing to do. A later look's colour wins."""
        codes = ";".join(self.codes[look] for look in looks if look in self.codes)
        return f"\x1b[{codes}m{text}\x1b[0m" if codes and text else text


def theme(background: Background, *, colour: bool, attributes: bool, encoding: str) -> Theme:
    """Without colour, bold, italic, underline and dim remain; without attributes nothing does."""
    codes: dict[Look, str] = {}
    if attributes:
        colours = _COLOURS[background] if colour else {}
        codes = {look: ";".join(filter(None, (_ATTRIBUTES.get(look), colours.get(look)))) for look in Look}
    return Theme(_glyphs(encoding), {look: code for look, code in codes.items() if code})


def _glyphs(encoding: str) -> Glyphs:
    """Those that the encoding has; ASCII for the others."""
    missing = {
        field.name: getattr(_ASCII, field.name)
        for field in fields(Glyphs)
        if not _can_encode(getattr(Glyphs(), field.name), encoding)
    }
    return replace(Glyphs(), **missing)


def _can_encode(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True
