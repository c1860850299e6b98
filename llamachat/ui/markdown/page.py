"""The lines of an answer as they stand on the terminal: what is in front of each, and the blank lines between them.

A container is what a block stands in: a quote, or a list item. Its prefix is repeated on every line.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from llamachat.ui.theme import Look, Theme

_QUOTE_WIDTH = 2


@dataclass(slots=True)
class Quote:
    """Lines that begin with `>`."""

    width = _QUOTE_WIDTH


@dataclass(slots=True)
class Item:
    """A list item. Lines indented by `threshold` columns belong to it, and `content` of them are taken away."""

    marker: str
    width: int  # columns of the marker as it is shown
    threshold: int
    content: int
    is_bullet: bool
    is_shown: bool = False  # whether the marker has been written


Container = Quote | Item


class Page:
    """Collects what is to be printed. `containers` are those of the line that is being read."""

    def __init__(self, theme: Theme, width: Callable[[], int]) -> None:
        self.theme = theme
        self.containers: list[Container] = []
        self.is_mid_line = False  # whether something stands on the line that was begun
        self._is_open = False  # whether a line was begun
        self._width = width
        self._out: list[str] = []
        self._blanks: list[str] = []  # held back: an answer ends with a line
        self._is_empty = True

    def take(self) -> str:
        out, self._out = "".join(self._out), []
        return out

    def columns(self) -> int:
        """What a line has behind its prefix, on the terminal as it is now."""
        width = self._width()
        return max(1, width - sum(container.width for container in self._fitting(width)))

    def open_line(self) -> int:
        """End the line before, if there is one, and begin another; how many columns it has."""
        self.end_line()
        self._out.extend(f"{prefix}\n" for prefix in self._blanks)
        self._blanks.clear()
        width = self._width()
        shown = self._fitting(width)
        self._is_open, self._is_empty = True, False
        self.write("".join(map(self._prefix, shown)))
        for container in self.containers:
            if isinstance(container, Item):
                container.is_shown = True
        return max(1, width - sum(container.width for container in shown))

    def write(self, text: str) -> None:
        if text:
            self._out.append(text)
            self.is_mid_line = True

    def end_line(self) -> None:
        if self._is_open:
            self._out.append("\n")
            self._is_open = self.is_mid_line = False

    def write_line(self, text: str) -> None:
        self.open_line()
        self.write(text)
        self.end_line()

    def blank(self) -> None:
        """A blank line, if something follows. Several are one, in the quotes that are common to them."""
        if not self._is_empty:
            self._blanks = [min([*self._blanks, self._blank_prefix()], key=len)]

    def blank_in_code(self) -> None:
        """A blank line, if something follows."""
        self._blanks.append(self._blank_prefix())

    def _fitting(self, width: int) -> list[Container]:
        """The innermost containers, as many as half of the width has room for. A marker is text, and shown anyway."""
        shown: list[Container] = []
        room = width // 2
        for container in reversed(self.containers):
            room -= container.width
            if room >= 0 or (isinstance(container, Item) and not container.is_shown):
                shown.append(container)
        return shown[::-1]

    def _prefix(self, container: Container) -> str:
        if isinstance(container, Quote):
            return self.theme.paint(self.theme.glyphs.quote, Look.QUOTE) + " "
        if container.is_shown:
            return " " * container.width
        return self.theme.paint(container.marker, Look.MARKER) + " "

    def _blank_prefix(self) -> str:
        shown = self._fitting(self._width())
        return "".join(" " * c.width if isinstance(c, Item) else self._prefix(c) for c in shown).rstrip(" ")
