"""The terminal between prompts: keys collected without echo, Ctrl-C as an interrupt."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import BinaryIO


@contextmanager
def collecting_keys(stdin: BinaryIO) -> Iterator[None]:
    """Nothing typed is echoed into the answer, or lost: the next prompt reads it. Ctrl-C still interrupts.

    Enter stays a carriage return, as the line editor expects it. Restores the terminal on the way out.
    """
    if sys.platform == "win32" or not stdin.isatty():
        yield
        return
    import termios  # noqa: PLC0415  not on Windows

    descriptor = stdin.fileno()
    before = termios.tcgetattr(descriptor)
    quiet = termios.tcgetattr(descriptor)
    quiet[0] &= ~termios.ICRNL
    quiet[3] &= ~(termios.ECHO | termios.ICANON)
    termios.tcsetattr(descriptor, termios.TCSANOW, quiet)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSANOW, before)


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
