"""The answer on its way to stdout."""

from __future__ import annotations

from llamachat.environment import Environment
from llamachat.ui.sanitise import sanitise


class AnswerWriter:
    """The answer on stdout, and nothing else there, ending in exactly one newline.

    Into a pipe it is the model's text in UTF-8, unchanged; on a terminal no control character passes.
    Line ends at the end are held back until more text follows them.
    """

    def __init__(self, environment: Environment, *, stream: bool = True) -> None:
        self._stdout = environment.stdout
        self._is_terminal = environment.stdout_is_terminal
        self._encoding = environment.stdout_encoding if self._is_terminal else "utf-8"
        self._stream = stream
        self._held = ""
        self._ended = False
        self._is_mid_line = False

    def write(self, text: str) -> None:
        text = self._held + text
        kept = text.rstrip("\n") if self._stream else ""
        self._held = text[len(kept) :]
        self._put(kept)

    def break_line(self) -> None:
        """Something else comes on the terminal: let it begin on a line of its own. In a pipe nothing changes."""
        if self._is_terminal and self._is_mid_line:
            self._put("\n")

    def end(self) -> None:
        """Close the answer, however it ended. Calling it again does nothing."""
        if not self._ended:
            self._ended = True
            self._put(self._held.rstrip("\n") + "\n")

    def _put(self, text: str) -> None:
        if text:
            self._is_mid_line = not text.endswith("\n")
            shown = sanitise(text) if self._is_terminal else text
            self._stdout.write(shown.encode(self._encoding, "replace"))
            self._stdout.flush()
