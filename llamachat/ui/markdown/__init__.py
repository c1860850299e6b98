"""Markdown as a terminal shows it, while it is being written. docs/markdown.md describes the dialect.

Append-only: text, line ends and SGR codes, and nothing printed is printed again. Held back is what cannot be
decided yet. How the text is cut never changes what comes out in all.
"""

from __future__ import annotations

from collections.abc import Callable

from llamachat.ui.markdown.blocks import Blocks
from llamachat.ui.markdown.page import Page
from llamachat.ui.sanitise import sanitise
from llamachat.ui.theme import Theme


class Markdown:
    """One answer. `width` is asked at each new line, so that a resize holds from the next one on."""

    def __init__(self, theme: Theme, width: Callable[[], int]) -> None:
        self._page = Page(theme, width)
        self._blocks = Blocks(self._page)

    def feed(self, text: str) -> str:
        self._blocks.feed(sanitise(text))
        return self._page.take()

    def flush(self) -> str:
        """The rest. All that came out ends in exactly one newline; it is empty if there was nothing to show."""
        self._blocks.flush()
        self._page.end_line()
        return self._page.take()

    @property
    def is_mid_line(self) -> bool:
        """Whether the cursor stands in the middle of a line after what came out so far."""
        return self._page.is_mid_line
