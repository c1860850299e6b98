"""A real prompt, its keys through a pipe, its screen a terminal emulator's."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyte
from prompt_toolkit.data_structures import Size
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output.vt100 import Vt100_Output

from llamachat.ui.history import History
from llamachat.ui.keyboard import BareKeyboard
from llamachat.ui.pastes import Typed
from llamachat.ui.prompt import Prompt

ENTER, ALT_ENTER, CTRL_J, CTRL_C, CTRL_D = "\r", "\x1b\r", "\n", "\x03", "\x04"
UP, DOWN, LEFT, RIGHT, BACKSPACE, TAB, ESCAPE = "\x1b[A", "\x1b[B", "\x1b[D", "\x1b[C", "\x7f", "\t", "\x1b"
UNFOLD, EDIT, SEND = "\x18\x10", "\x18\x05", "\x18\x13"


def paste(text: str) -> str:
    return f"\x1b[200~{text}\x1b[201~"


class Emulator(io.StringIO):
    """What a terminal shows of what is written to it."""

    encoding = "utf-8"

    def __init__(self, columns: int, lines: int, encoding: str, answer: Callable[[str], None]) -> None:
        super().__init__()
        self._answer = answer
        self.encoding = encoding
        self.screen = pyte.Screen(columns, lines)
        self.raw = ""
        self._stream = pyte.Stream(self.screen)

    def write(self, text: str) -> int:
        self.raw += text
        self._stream.feed(text)
        if "\x1b[6n" in text:
            self._answer(f"\x1b[{self.screen.cursor.y + 1};{self.screen.cursor.x + 1}R")
        return len(text)

    def isatty(self) -> bool:
        return True

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip()


class Desk:
    """`desk.read(keys)` is what the prompt makes of keys; `desk.said` is what it said, `desk.screen` what it showed."""

    def __init__(self, pipe: PipeInput, history: History, columns: int, encoding: str, **options: object) -> None:
        self._pipe = pipe
        self.history = history
        self.said: list[str] = []
        self.screen = Emulator(columns, 24, encoding, pipe.send_text)
        self.edits: list[str] = []
        output = Vt100_Output(self.screen, lambda: Size(rows=24, columns=columns), term="xterm")
        settings = {"edit": self._edit, "say": self.said.append, "output": output, **options}
        self.prompt = Prompt(BareKeyboard(pipe), history, **settings)
        self.editor: Callable[[str], str] = str.upper

    def press(self, keys: str) -> None:
        self._pipe.send_text(keys)

    def read(self, keys: str, draft: str = "") -> Typed:
        self.press(keys)
        return self.prompt.read(draft)

    def wipe(self) -> None:
        """An empty screen, so that a dialog cannot take what was shown before for an answer."""
        self.screen.screen.reset()

    def text(self, keys: str, draft: str = "") -> str:
        return self.read(keys, draft).text

    def dialog(self, keys: str, *answers: tuple[str, str]) -> Typed:
        """Keys, and for each (shown, more keys) these as soon as the screen shows that."""
        thread = threading.Thread(target=self._answer, args=(answers,))
        thread.start()
        try:
            return self.read(keys)
        finally:
            thread.join()

    def _answer(self, answers: Iterable[tuple[str, str]]) -> None:
        for shown, keys in answers:
            deadline = time.monotonic() + 10
            while shown not in self.screen.text and time.monotonic() < deadline:
                time.sleep(0.01)
            self._pipe.send_text(keys)

    def _edit(self, text: str) -> str:
        self.edits.append(text)
        return self.editor(text)


@contextmanager
def desk(path: Path | None = None, *, columns: int = 80, encoding: str = "utf-8", **options: object) -> Iterator[Desk]:
    with create_pipe_input() as pipe:
        yield Desk(pipe, History(path), columns, encoding, **options)
