"""The terminal of POSIX under a chat: its settings, who has it, and what it says of itself."""

from __future__ import annotations

import os
import signal
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from types import FrameType, TracebackType
from typing import Any, BinaryIO, Self, TextIO

from prompt_toolkit.input import Input
from prompt_toolkit.output import Output
from prompt_toolkit.output.vt100 import Vt100_Output

from llamachat.ui.background import QUESTION, reported
from llamachat.ui.terminal_input import TerminalInput
from llamachat.ui.theme import Background

assert sys.platform != "win32"

_Settings = list[Any]  # as termios.tcgetattr gives them
_INPUT, _LOCAL, _CHARACTERS = 0, 3, 6

_PASTES_MARKED, _PASTES_BARE = "\x1b[?2004h", "\x1b[?2004l"
_NEXT_LINE = "\r\n\x1b[J"  # and nothing below it
_OTHER_SCREEN, _FIRST_SCREEN = "\x1b[?1049h", "\x1b[?1049l"
_CURSOR_SHOWN = "\x1b[?25h"
_ANSWER_SECONDS = 0.3  # that a terminal may take to answer, if we end right after the question
_DUMB = ("dumb", "unknown")


class TerminalKeyboard:
    """The `Keyboard` of a terminal, which is ours within `with`, and afterwards as it was found."""

    def __init__(
        self, stdin: BinaryIO, screen: TextIO, *, term: str, background: Background, asks_background: bool
    ) -> None:
        self._keys = TerminalInput(stdin, screen.encoding, self, self._take_report)
        self._screen = screen
        self._is_dumb = term in _DUMB or not screen.isatty()
        self.input: Input | None = self._keys
        self._output = None if self._is_dumb else _Output.of(screen, term)
        self.output: Output | None = self._output
        self.background = background
        self.on_background: Callable[[], None] = lambda: None
        self._asks_background = asks_background and not self._is_dumb
        self._answered = threading.Event()
        self._ask_ends = 0.0
        self._found: _Settings = []  # the terminal's settings before us
        self._wanted: _Settings = []  # that hold now, until somebody else changes them
        self._is_lost = False  # somebody else has had the terminal
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._found = termios.tcgetattr(self._keys.fileno())
        try:
            self._handle_signals()
            self._set(_quiet(self._found))
            self._keys.take_early()
            if self._asks_background:
                self._write(QUESTION)
                self._ask_ends = time.monotonic() + _ANSWER_SECONDS
            self._keys.collect()
        except BaseException:
            self._restore()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """An answer that came after our end would be typed into the shell."""
        try:
            self._answered.wait(max(0, self._ask_ends - time.monotonic()))
        finally:
            self._restore()

    @contextmanager
    def lent(self) -> Iterator[None]:
        was_collecting = self._keys.stop_collecting()
        try:
            with self.cooked():
                yield
        finally:
            if was_collecting:
                self._keys.collect()

    def has_keys(self) -> bool:
        held = self._keys.take_all()
        self._keys.put_first(held)
        return bool(held)

    @contextmanager
    def fresh(self) -> Iterator[None]:
        held = self._keys.take_all()
        try:
            yield
        finally:
            self._keys.put_first(held)

    # the terminal's settings

    def raw(self) -> AbstractContextManager[None]:
        """Under a prompt: Ctrl-C, Ctrl-S and Ctrl-Z are keys."""
        settings = _quiet(self._found)
        settings[_LOCAL] &= ~termios.ISIG
        settings[_INPUT] &= ~(termios.IXON | termios.IXOFF | termios.INLCR | termios.IGNCR)
        return self._within(settings)

    def cooked(self) -> AbstractContextManager[None]:
        """As it was found."""
        return self._within(self._found)

    def has_terminal(self) -> bool:
        """A shell's `fg` tells us only if we were stopped: the collector asks this again and again."""
        is_ours = self._is_in_foreground()
        if is_ours and self._is_lost:
            self._set(self._wanted)
            self._is_lost = False
            if self._has_other_screen():
                self._write(_OTHER_SCREEN)
                os.kill(os.getpid(), signal.SIGWINCH)  # it is empty now: whoever has it draws all anew
        return is_ours

    def _has_other_screen(self) -> bool:
        return self._output is not None and self._output.has_other_screen

    def _is_in_foreground(self) -> bool:
        try:
            return os.tcgetpgrp(self._keys.fileno()) == os.getpgrp()
        except OSError:  # not the terminal of this session
            return True

    @contextmanager
    def _within(self, settings: _Settings) -> Iterator[None]:
        before = self._wanted
        self._set(settings)
        try:
            yield
        finally:
            self._set(before)

    def _set(self, settings: _Settings) -> None:
        self._wanted = settings
        with suppress(termios.error):  # the terminal is gone
            termios.tcsetattr(self._keys.fileno(), termios.TCSANOW, settings)
        self._write(_PASTES_BARE if settings is self._found else _PASTES_MARKED)

    def _restore(self) -> None:
        self._keys.stop_collecting()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._set(self._found)

    def _write(self, text: str) -> None:
        """At once: this may run in a signal handler, or beside the line editor."""
        if not self._is_dumb:
            with suppress(OSError):
                os.write(self._screen.fileno(), text.encode())

    # signals and reports

    def _handle_signals(self) -> None:
        actions: dict[int, Callable[[int, FrameType | None], None]] = {
            signal.SIGCONT: self._go_on,
            signal.SIGTSTP: self._leave,
            signal.SIGTERM: self._leave,
        }
        for number, action in actions.items():
            self._handlers[number] = signal.signal(number, action) or signal.SIG_DFL

    def _leave(self, number: int, _frame: FrameType | None) -> None:
        """Stop, or end, as if the signal had not been handled, with the terminal as it was found."""
        wanted = self._wanted
        if self._has_other_screen():
            self._write(_FIRST_SCREEN + _CURSOR_SHOWN)
        elif number == signal.SIGTERM:
            self._write(_NEXT_LINE)
        self._set(self._found)
        action = signal.signal(number, signal.SIG_DFL)
        signal.pthread_kill(threading.get_ident(), number)  # to this thread, so that it stops here and now
        signal.signal(number, action)
        self._wanted = wanted
        self._go_on()

    def _go_on(self, _number: int = 0, _frame: FrameType | None = None) -> None:
        """After a stop, the terminal's settings are somebody else's."""
        self._is_lost = True
        self.has_terminal()

    def _take_report(self, text: str) -> None:
        background = reported(text)
        self._answered.set()
        if background and background != self.background:
            self.background = background
            self.on_background()


class _Output(Vt100_Output):
    """Leaves pastes marked at the end of a prompt: they are as long as the terminal is ours."""

    has_other_screen = False

    @classmethod
    def of(cls, screen: TextIO, term: str) -> Self:
        output = cls.from_pty(screen, term=term)
        assert isinstance(output, cls)
        return output

    def enter_alternate_screen(self) -> None:
        self.has_other_screen = True
        super().enter_alternate_screen()

    def quit_alternate_screen(self) -> None:
        super().quit_alternate_screen()
        self.flush()
        self.has_other_screen = False

    @property
    def responds_to_cpr(self) -> bool:
        """The line editor need not know where the cursor is: it draws no further down than it has to."""
        return False

    def disable_bracketed_paste(self) -> None:
        """The keyboard does."""


def _quiet(found: _Settings) -> _Settings:
    """Nothing is echoed, each key comes at once, Enter is no line end, Ctrl-C interrupts and throws nothing away."""
    settings = [*found[:_CHARACTERS], [*found[_CHARACTERS]]]
    settings[_INPUT] &= ~termios.ICRNL
    settings[_LOCAL] &= ~(termios.ECHO | termios.ICANON | termios.IEXTEN)
    settings[_LOCAL] |= termios.ISIG | termios.NOFLSH
    settings[_CHARACTERS][termios.VQUIT] = b"\0"  # Ctrl-\ would end us with the terminal as it is now
    settings[_CHARACTERS][termios.VMIN] = 1
    settings[_CHARACTERS][termios.VTIME] = 0
    return settings
