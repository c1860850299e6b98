"""What a terminal sends, as keys. Any cut between two pieces of it gives the same keys."""

from __future__ import annotations

import re
from collections.abc import Callable

from prompt_toolkit.input.vt100_parser import Vt100Parser
from prompt_toolkit.key_binding.key_processor import KeyPress
from prompt_toolkit.keys import Keys

_PASTE_END = "\x1b[201~"
_LONGEST = 64  # characters of a report; what goes on longer is none
_REPORT = re.compile(rf"\x1b\]11;([^\x07\x1b]{{0,{_LONGEST}}})(?:\x07|\x1b\\)")
_BEGINNING = re.compile(rf"\x1b(?:\](?:1(?:1(?:;[^\x07\x1b]{{0,{_LONGEST}}}\x1b?)?)?)?)?\Z")
_CURSOR = re.compile(r"\x1b\[\d+;\d+R")
_CERTAIN = "\x1b]11;"  # no key begins so


class Reports:
    """Takes the terminal's answers about its colour (OSC 11) out of what was typed, wherever they come."""

    def __init__(self, on_report: Callable[[str], None]) -> None:
        self._on_report = on_report
        self._held = ""

    def feed(self, text: str) -> str:
        """The text without reports. What may become one is held back."""
        text, self._held = self._held + text, ""
        if "\x1b" not in text:
            return text
        text = _REPORT.sub(self._take, text)
        if beginning := _BEGINNING.search(text, max(0, len(text) - _LONGEST - 8)):
            self._held = beginning[0]
            text = text[: beginning.start()]
        return text

    def flush(self) -> str:
        """What is held back and is not certain to be a report, when nothing has come for a while."""
        if self._held.startswith(_CERTAIN):
            return ""
        text, self._held = self._held, ""
        return text

    def _take(self, report: re.Match[str]) -> str:
        self._on_report(report[1])
        return ""


class Parser(Vt100Parser):
    """prompt_toolkit's, but a paste costs time in proportion to its length, not to the square of it.

    Where the cursor is, the terminal may also say in the middle of a long paste.
    """

    def __init__(self, on_key: Callable[[KeyPress], None]) -> None:
        super().__init__(on_key)
        self._pieces: list[str] = []
        self._tail = ""  # of the pieces: the end mark may be cut

    def feed(self, data: str) -> None:
        while data:
            data = self._feed_paste(data) if self._in_bracketed_paste else self._feed_keys(data)

    def _feed_keys(self, data: str) -> str:
        """Keys until a paste begins. Returns what is left."""
        for index, character in enumerate(data):
            self._input_parser.send(character)
            if self._in_bracketed_paste:
                return data[index + 1 :]
        return ""

    def _feed_paste(self, data: str) -> str:
        """A paste until its end. Returns what is left."""
        self._pieces.append(data)
        window = self._tail + data
        end = window.find(_PASTE_END)
        if end < 0:
            self._tail = window[-len(_PASTE_END) + 1 :]
            return ""
        rest = window[end + len(_PASTE_END) :]
        text = "".join(self._pieces).removesuffix(rest).removesuffix(_PASTE_END)
        self._pieces, self._tail, self._in_bracketed_paste = [], "", False
        self.feed_key_callback(KeyPress(Keys.BracketedPaste, _CURSOR.sub(self._take_cursor, text)))
        return rest

    def _take_cursor(self, report: re.Match[str]) -> str:
        self.feed_key_callback(KeyPress(Keys.CPRResponse, report[0]))
        return ""
