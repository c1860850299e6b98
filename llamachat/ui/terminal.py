"""The terminal between prompts: keys collected without echo, Ctrl-C as an interrupt."""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import BinaryIO


@contextmanager
def collecting_keys(stdin: BinaryIO) -> Iterator[str]:
    """Outside a prompt nothing typed is echoed, or lost: the next prompt reads it. Ctrl-C still interrupts.

    Yields what was typed before the program ran, for which the terminal took Enter as a line end; from
    here on Enter stays a carriage return, as the line editor expects it. Restores the terminal at the end.
    """
    if sys.platform == "win32" or not stdin.isatty():
        yield ""
        return
    import termios  # noqa: PLC0415  not on Windows

    descriptor = stdin.fileno()
    before = termios.tcgetattr(descriptor)
    quiet = termios.tcgetattr(descriptor)
    quiet[0] &= ~termios.ICRNL
    quiet[3] &= ~(termios.ECHO | termios.ICANON)
    quiet[3] |= termios.NOFLSH  # Ctrl-C would throw away what was typed
    early = _pending_lines(descriptor)
    termios.tcsetattr(descriptor, termios.TCSANOW, quiet)

    def resume(_number: int, _frame: FrameType | None) -> None:
        """After Ctrl-Z and `fg` the shell has left its own settings."""
        is_ours = os.tcgetpgrp(descriptor) == os.getpgrp()
        if is_ours and termios.tcgetattr(descriptor)[3] & termios.ICANON:
            termios.tcsetattr(descriptor, termios.TCSANOW, quiet)

    resumed_before = signal.signal(signal.SIGCONT, resume)
    try:
        yield early
    finally:
        signal.signal(signal.SIGCONT, resumed_before)
        termios.tcsetattr(descriptor, termios.TCSANOW, before)


def _pending_lines(descriptor: int) -> str:
    """Whole lines that wait to be read. A line not yet ended stays, and the first prompt shows it."""
    early = b""
    while select.select([descriptor], [], [], 0)[0] and (data := os.read(descriptor, 4096)):
        early += data
    return early.decode("utf-8", "replace")


@contextmanager
def on_interrupt(act: Callable[[], None]) -> Iterator[None]:
    """SIGINT calls `act`, which must be safe in a signal handler, instead of raising KeyboardInterrupt."""

    def handle(_number: int, _frame: FrameType | None) -> None:
        act()

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
