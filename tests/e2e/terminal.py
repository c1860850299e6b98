"""A real llamachat on a pseudo-terminal, and what its screen shows."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pexpect
import pyte


class Terminal:
    """`Terminal(home, "-m", model)`: keys go in with `type`, the screen is read as lines."""

    def __init__(self, home: Path, *arguments: str, columns: int = 80, lines: int = 40, **variables: str) -> None:
        self.screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self.process = pexpect.spawn(
            sys.executable,
            ["-m", "llamachat", *arguments],
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

    def exit_code(self) -> int:
        """Wait for the end."""
        deadline = time.monotonic() + 30
        while self.process.isalive():
            self.read()
            assert time.monotonic() < deadline, self.text
        self.read()
        self.process.close()
        return self.process.exitstatus if self.process.exitstatus is not None else -self.process.signalstatus

    def close(self) -> None:
        self.process.close(force=True)
