"""The answer on its way to stdout: the same bytes in a pipe, harmless ones on a terminal.

What becomes of the text is a transformer's: `feed(text)` gives what can be shown, `flush()` the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from llamachat.environment import Environment
from llamachat.ui.sanitise import sanitise


class Rendering(Protocol):
    """One answer's text, piece by piece."""

    def feed(self, text: str) -> str:
        """What can be shown now."""
        ...

    def flush(self) -> str:
        """The rest. It ends the answer with exactly one newline."""
        ...


class Verbatim:
    """The text unchanged. Line ends at its end are held back until more text follows them."""

    def __init__(self) -> None:
        self._held = ""

    def feed(self, text: str) -> str:
        text = self._held + text
        kept = text.rstrip("\n")
        self._held = text[len(kept) :]
        return kept

    def flush(self) -> str:
        return "\n"


class Harmless(Verbatim):
    """The text as it was written, with nothing in it that a terminal would obey."""

    def feed(self, text: str) -> str:
        return sanitise(super().feed(text))


class AnswerWriter:
    """The answer on stdout, and nothing else there.

    Into a pipe it is the model's text in UTF-8, unchanged; on a terminal it is what `rendering` makes of it.
    `before_output` is called each time something is about to appear.
    """

    def __init__(
        self,
        environment: Environment,
        rendering: Rendering,
        before_output: Callable[[], None],
        *,
        stream: bool = True,
    ) -> None:
        self._stdout = environment.stdout
        self._is_terminal = environment.stdout_is_terminal
        self._encoding = environment.stdout_encoding if self._is_terminal else "utf-8"
        self._rendering = rendering if self._is_terminal else Verbatim()
        self._before_output = before_output
        self._stream = stream
        self._held: list[str] = []
        self._ended = False
        self._is_mid_line = False

    def write(self, text: str) -> None:
        if self._stream:
            self._put(self._rendering.feed(text))
        else:
            self._held.append(text)

    def break_line(self) -> None:
        """Something else comes on the terminal: let it begin on a line of its own. In a pipe nothing changes."""
        if self._is_terminal and self._is_mid_line:
            self._put("\n")

    def end(self) -> None:
        """Close the answer, however it ended. Calling it again does nothing."""
        if not self._ended:
            self._ended = True
            self._put(self._rendering.feed("".join(self._held)) + self._rendering.flush())

    def _put(self, text: str) -> None:
        if text:
            self._before_output()
            self._is_mid_line = not text.endswith("\n")
            self._stdout.write(text.encode(self._encoding, "replace"))
            self._stdout.flush()
