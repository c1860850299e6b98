"""The outside world as one value: streams, terminal, variables. Built once, in `cli/main`."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO, TextIO

from llamachat.paths import Paths


@dataclass(frozen=True, slots=True)
class Environment:
    """What the program can see and touch. `plain` means: no repainting and no escape codes at all."""

    stdin: BinaryIO
    stdout: BinaryIO
    stderr: TextIO
    stdout_encoding: str
    stdin_is_terminal: bool
    stdout_is_terminal: bool
    stderr_is_terminal: bool
    variables: Mapping[str, str]

    @classmethod
    def of_process(cls) -> Environment:
        """A stream that was closed before we started counts as one to nowhere."""
        nowhere = os.devnull
        return cls(
            stdin=sys.stdin.buffer if sys.stdin else open(nowhere, "rb"),  # noqa: PTH123  lives as long as we do
            stdout=sys.stdout.buffer if sys.stdout else open(nowhere, "wb"),  # noqa: PTH123
            stderr=sys.stderr or open(nowhere, "w", encoding="utf-8"),  # noqa: PTH123
            stdout_encoding=(sys.stdout and sys.stdout.encoding) or "utf-8",
            stdin_is_terminal=bool(sys.stdin) and sys.stdin.isatty(),
            stdout_is_terminal=bool(sys.stdout) and sys.stdout.isatty(),
            stderr_is_terminal=bool(sys.stderr) and sys.stderr.isatty(),
            variables=os.environ,
        )

    @property
    def paths(self) -> Paths:
        """Where our files live. Asked for late: a page of help needs none."""
        return Paths.of(self.variables)

    @property
    def columns(self) -> int:
        """The terminal's width now: it may change at any moment. 80 where there is none."""
        for stream in (self.stdout, self.stderr):
            with suppress(OSError, ValueError):  # no terminal, closed, or no file at all
                if columns := os.get_terminal_size(stream.fileno()).columns:
                    return columns
        return 80

    @property
    def wants_plain(self) -> bool:
        """ACCESSIBLE set to anything but 0, or a terminal without escape codes."""
        return self.variables.get("ACCESSIBLE", "") not in ("", "0") or self.variables.get("TERM") == "dumb"

    @property
    def wants_colour(self) -> bool:
        """NO_COLOR (no-color.org): set and not empty means no colour."""
        return not self.wants_plain and not self.variables.get("NO_COLOR")
