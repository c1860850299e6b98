"""The line editor's input on POSIX, which reads on when there is no prompt.

The kernel keeps 4096 bytes of what is typed and drops the rest, so a thread reads whenever the line editor does not.
One parser sees everything, so a key or a character that is cut by the begin or end of a prompt stays whole.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from asyncio import get_running_loop
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import BinaryIO, Protocol, TextIO, cast

from prompt_toolkit.input.posix_utils import PosixStdinReader
from prompt_toolkit.input.typeahead import get_typeahead
from prompt_toolkit.input.vt100 import Vt100Input
from prompt_toolkit.key_binding.key_processor import KeyPress
from prompt_toolkit.keys import Keys

from llamachat.ui.keystream import Parser, Reports

assert sys.platform != "win32"

_PAUSE_SECONDS = 0.1  # after which a lone Escape is one, and between looks whether we are in the foreground
_READ_CHARACTERS = 1 << 16


class Modes(Protocol):
    """The settings of the terminal; `ui/tty.py` has them."""

    def raw(self) -> AbstractContextManager[None]: ...

    def cooked(self) -> AbstractContextManager[None]: ...

    def has_terminal(self) -> bool:
        """Whether we are in the foreground. The terminal has our settings then, whatever a shell did meanwhile."""
        ...


class TerminalInput(Vt100Input):
    """Keys for the line editor. Between `collect` and `stop_collecting` a thread reads them, except under a prompt."""

    def __init__(self, stdin: BinaryIO, encoding: str, modes: Modes, on_report: Callable[[str], None]) -> None:
        super().__init__(cast(TextIO, _Stdin(stdin, encoding)))
        self.stdin_reader = PosixStdinReader(stdin.fileno(), errors="replace", encoding=encoding)
        self.vt100_parser = Parser(self._add)
        self._reports = Reports(on_report)
        self._modes = modes
        self._is_attached = False
        self._collector: _Collector | None = None

    def collect(self) -> None:
        self._collector = _Collector(self, self._modes)

    def stop_collecting(self) -> bool:
        """Whether there was anything to stop."""
        collector, self._collector = self._collector, None
        if collector:
            collector.stop()
        return collector is not None

    def take_early(self) -> None:
        """What was typed before the terminal was ours, for which it made the end of a line of Enter."""
        while text := self.stdin_reader.read(_READ_CHARACTERS):
            self._feed(text.replace("\n", "\r"))

    def take_all(self) -> list[KeyPress]:
        """The keys that no prompt has had yet."""
        was_collecting = self.stop_collecting()
        taken = [*get_typeahead(self), *self._taken()]
        if was_collecting:
            self.collect()
        return taken

    def put_first(self, keys: list[KeyPress]) -> None:
        self._buffer[:0] = keys

    def read(self) -> bool:
        """Take in what has been typed; whether there was anything."""
        text = self.stdin_reader.read(_READ_CHARACTERS)
        self._feed(text)
        return bool(text)

    def flush(self) -> None:
        """Nothing has come for a while: a lone Escape is one."""
        self.vt100_parser.feed(self._reports.flush())
        self.vt100_parser.flush()

    # what prompt_toolkit asks for

    def read_keys(self) -> list[KeyPress]:
        self.read()
        return self._taken()

    def flush_keys(self) -> list[KeyPress]:
        self.flush()
        return self._taken()

    @contextmanager
    def attach(self, input_ready_callback: Callable[[], None]) -> Iterator[None]:
        """The keys that were collected come when the prompt is drawn, so that Up among them finds the history."""
        was_collecting = self.stop_collecting()
        loop = get_running_loop()
        self._is_attached = True
        try:
            with super().attach(input_ready_callback):
                loop.call_soon(lambda: loop.call_soon(input_ready_callback))
                yield
        finally:
            self._is_attached = False
            self.put_first(get_typeahead(self))
            if was_collecting:
                self.collect()

    def raw_mode(self) -> AbstractContextManager[None]:
        return self._modes.raw()

    def cooked_mode(self) -> AbstractContextManager[None]:
        return self._modes.cooked()

    def _feed(self, text: str) -> None:
        self.vt100_parser.feed(self._reports.feed(text))

    def _add(self, key: KeyPress) -> None:
        """Where the cursor is, is asked by a prompt; an answer that comes after it would mislead the next."""
        if self._is_attached or key.key != Keys.CPRResponse:
            self._buffer.append(key)

    def _taken(self) -> list[KeyPress]:
        taken, self._buffer = self._buffer, []
        return taken


class _Stdin:
    """What prompt_toolkit needs of a standard input."""

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        self.encoding = encoding
        self.fileno = stream.fileno
        self.isatty = stream.isatty


class _Collector:
    """A thread that reads keys until it is stopped. In the background it waits: what is typed there is not ours."""

    def __init__(self, keys: TerminalInput, modes: Modes) -> None:
        self._keys = keys
        self._modes = modes
        self._stopped, self._stop = os.pipe()
        self._thread = threading.Thread(target=self._run, name="keyboard", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        os.write(self._stop, b"\0")
        self._thread.join()
        os.close(self._stop)
        os.close(self._stopped)

    def _run(self) -> None:
        # Blocked, the signal that stops who reads in the background becomes an error of that read.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTIN, signal.SIGTTOU})
        while not self._keys.closed:
            ready, _, _ = select.select([self._keys.fileno(), self._stopped], [], [], _PAUSE_SECONDS)
            if self._stopped in ready:
                return
            is_ours = self._modes.has_terminal()
            if not ready:
                self._keys.flush()
            elif not (is_ours and self._keys.read()) and select.select([self._stopped], [], [], _PAUSE_SECONDS)[0]:
                return
