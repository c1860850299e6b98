"""The beginning of a line, as far as it is not used yet: white space as columns, then text."""

from __future__ import annotations

from llamachat.ui.markdown.width import expand_tabs


class Line:
    def __init__(self) -> None:
        self.text = ""
        self.indent = 0  # columns of white space before the text
        self.n_matched = 0  # containers that the line is known to be in
        self._column = 0  # where the text stands in the line
        self._skips_space = False  # whether a space before the text belongs to a quote's marker

    def add(self, text: str) -> None:
        """More of the line. White space at the beginning is counted, and not kept."""
        self.text += text
        self._take_indent()

    def use(self, n_characters: int, *, skips_space: bool = False) -> None:
        """A marker has been read. It is ASCII."""
        self.text = self.text[n_characters:]
        self._column += n_characters
        self.indent = 0
        self._skips_space = skips_space
        self._take_indent()

    def columns_of(self, start: int, white: str) -> int:
        """How many columns white space takes that stands `start` characters behind the beginning of the text."""
        column = self._column + start
        return expand_tabs(white, column)[1] - column

    def _take_indent(self) -> None:
        text = self.text.lstrip(" \t")
        if white := self.text[: len(self.text) - len(text)]:
            n_columns = self.columns_of(0, white)
            self.indent += n_columns
            self._column += n_columns
            self.text = text
        if self._skips_space and text:
            self.indent = max(0, self.indent - 1)
            self._skips_space = False
