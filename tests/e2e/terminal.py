"""A real llamachat on a pseudo-terminal, and what its screen shows."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pexpect
import pyte

LLAMACHAT = (sys.executable, "-m", "llamachat")


class Terminal:
    """`Terminal(home, "-m", model)`: keys go in with `type`, the screen is read as lines."""

    def __init__(
        self,
        home: Path,
        *arguments: str,
        columns: int = 80,
        lines: int = 40,
        command: Sequence[str] = LLAMACHAT,
        **variables: str,
    ) -> None:
        self.screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self.process = pexpect.spawn(
            command[0],
            [*command[1:], *arguments],
            env={**os.environ, "LLAMACHAT_HOME": str(home), "TERM": "xterm-256color", **variables},
            dimensions=(lines, columns),
            timeout=60,
        )
        self.process.delaybeforesend = None

    def type(self, keys: str) -> None:
        self.process.send(keys)

    def read(self, seconds: float = 0.05) -> str:
        """Take in what has been printed; the screen as text."""
        try:
            data = self.process.read_nonblocking(1 << 16, timeout=seconds)
        except (pexpect.TIMEOUT, pexpect.EOF):
            data = b""
        self.raw += data
        self._stream.feed(data)
        if b"\x1b[6n" in data:  # the line editor asks where the cursor is
            self.process.send(f"\x1b[{self.screen.cursor.y + 1};{self.screen.cursor.x + 1}R")
        return self.text

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip()

    def wait_for(self, text: str, count: int = 1, seconds: float = 20) -> str:
        """Until the screen shows `text` so many times."""
        deadline = time.monotonic() + seconds
        while self.read().count(text) < count:
            if time.monotonic() > deadline or (not self.process.isalive() and self.read().count(text) < count):
                raise AssertionError(f"{text!r} did not come {count} times. The screen:\n{self.text}")
        return self.text

    def ask(self, text: str, seconds: float = 20) -> str:
        """Type a line and Enter, and wait for the next empty prompt; what came between."""
        before = self.read().count("›")
        self.type(f"{text}\r")
        self.wait_until(lambda: self.text.count("›") > before and self.line == "›", seconds)
        return self.text.rsplit("›", 2)[-2].partition("\n")[2]

    def wait_until(self, is_so: Callable[[], bool], seconds: float = 20, interval: float = 0.05) -> None:
        """Until this holds; looked at whenever something was printed, and every `interval` seconds."""
        deadline = time.monotonic() + seconds
        while not is_so():
            assert time.monotonic() < deadline, f"it did not come to that. The screen:\n{self.text}"
            self.read(interval)

    @property
    def line(self) -> str:
        """The line that the cursor is on."""
        return self.screen.display[self.screen.cursor.y].rstrip()

    def wait_for_prompt(self, seconds: float = 60) -> str:
        """Until the cursor stands at an empty prompt."""
        deadline = time.monotonic() + seconds
        while self.read() is not None and self.line not in ("›", "You:"):
            if time.monotonic() > deadline:
                raise AssertionError(f"no prompt. The screen:\n{self.text}")
        return self.text

    def resize(self, columns: int, lines: int) -> None:
        """As a window does: the screen keeps what fits, and the program is told."""
        self.screen.resize(lines, columns)
        self.process.setwinsize(lines, columns)

    def narrow(self, columns: int) -> None:
        """As a window becomes narrower that wraps its lines anew, as most of today's do."""
        rows, place = [], (0, 0)
        for number, line in enumerate(line.rstrip() for line in self.screen.display):
            if number == self.screen.cursor.y:
                place = len(rows) + self.screen.cursor.x // columns, self.screen.cursor.x % columns
            rows += [line[start : start + columns] for start in range(0, len(line), columns)] or [""]
        while not rows[-1] and len(rows) > place[0] + 1:
            rows.pop()
        n_lines = self.screen.lines
        n_above = max(0, len(rows) - n_lines)
        self.screen.reset()
        self.screen.resize(n_lines, columns)
        self._stream.feed("\r\n".join(rows[n_above:]).encode())
        self.screen.cursor_position(place[0] - n_above + 1, place[1] + 1)
        self.process.setwinsize(n_lines, columns)

    def exit_code(self, seconds: float = 30) -> int:
        """Wait for the end."""
        deadline = time.monotonic() + seconds
        while self.process.isalive():
            self.read()
            assert time.monotonic() < deadline, self.text
        self.read()
        self.process.close()
        return self.process.exitstatus if self.process.exitstatus is not None else -self.process.signalstatus

    def close(self) -> None:
        self.process.close(force=True)
