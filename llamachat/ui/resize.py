"""A prompt that stays whole when the window's width changes.

The line editor erases what it drew by going up as many rows as it drew. Many terminals wrap lines anew when they become
narrower, so that there are more rows by then, and the first of them would be left behind in the scrollback.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from prompt_toolkit.application import Application
from prompt_toolkit.data_structures import Size
from prompt_toolkit.layout.screen import Screen

# Terminals that wrap anew, by what they put into the environment.
_REWRAPS = frozenset(
    {"TMUX", "VTE_VERSION", "KITTY_WINDOW_ID", "WEZTERM_PANE", "ALACRITTY_WINDOW_ID", "ITERM_SESSION_ID"}
    | {"KONSOLE_VERSION", "GHOSTTY_RESOURCES_DIR", "WT_SESSION"}
)
_STAYS_SECONDS = 0.3  # tmux tells a new size up to 0.25 s after it has wrapped its lines
_ON_RESIZE = "_on_resize"  # what prompt_toolkit calls; it has no name for others

_PROGRAMS = frozenset({"Apple_Terminal", "iTerm.app", "WezTerm", "ghostty", "vscode", "tmux"})  # as TERM_PROGRAM


def rewraps(variables: Mapping[str, str]) -> bool:
    """Whether the terminal is known to wrap lines anew. Where it is not, going up too far would erase what was said."""
    if variables.get("TERM", "").startswith("screen") and "STY" in variables:
        return False
    return not _REWRAPS.isdisjoint(variables) or variables.get("TERM_PROGRAM") in _PROGRAMS


class Rewrapping:
    """Erases what was drawn at another width, before it is drawn again.

    It waits until the width stays: what is drawn while a terminal becomes narrower may come to it before or after.
    """

    def __init__(self, app: Application[Any]) -> None:
        self._app = app
        self._columns = 0  # at the last drawing; 0: nothing is drawn
        self._lengths: list[int] = []  # of the rows above the cursor, and up to it, in cells
        self._wanted: Size | None = None
        self._waiting: asyncio.TimerHandle | None = None
        app.before_render += self._before
        app.after_render += self._after
        setattr(app, _ON_RESIZE, self._resized)

    def _resized(self) -> None:
        """Told by a signal, and again by who looks twice a second."""
        size = self._app.output.get_size()
        if size == self._wanted or self._app.loop is None:
            return
        self._wanted = size
        if self._waiting:
            self._waiting.cancel()
        self._waiting = self._app.loop.call_later(_STAYS_SECONDS, self._app.invalidate)

    def _before(self, app: Application[Any]) -> None:
        columns = app.output.get_size().columns
        if self._columns and columns != self._columns:
            app.renderer.erase(leave_alternate_screen=False)
            app.output.cursor_up(sum(_n_wraps(length, columns) for length in self._lengths))
            app.output.erase_down()
        self._columns = columns

    def _after(self, app: Application[Any]) -> None:
        screen = app.renderer.last_rendered_screen
        if screen is None or app.is_done:
            self._columns, self._lengths = 0, []
            return
        cursor = screen.get_cursor_position(app.layout.current_window)
        self._lengths = [*(_length(screen, row) for row in range(cursor.y)), cursor.x + 1]


def _length(screen: Screen, row: int) -> int:
    """Cells up to the last character that is no space."""
    cells = screen.data_buffer[row]
    return max((column + cell.width for column, cell in cells.items() if cell.char != " "), default=0)


def _n_wraps(length: int, columns: int) -> int:
    """Rows that a line has more than one."""
    return max(0, length - 1) // max(1, columns)
