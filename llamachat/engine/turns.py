"""Whose turn it is at the cores: of all llamachats on this machine, one evaluates for a request at a time.

Two that compute at once wait for each other's threads, and neither is half as fast as alone. The turn is the lock of a
file that every user of the machine can open; it frees itself when its holder ends. Where there can be no such file,
everybody computes at once. Most answers take one turn; a long one lets another have theirs in between.

A holder can be stopped (Ctrl-Z, SIGSTOP) without letting go. So it shows a sign of life, the file's time, and
nobody waits for one that shows none.
"""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from llamachat.locks import try_lock

_POLL = 0.02  # seconds between two tries for the turn
_SIGN = 0.5  # between two signs of life
_LONG = 30.0  # of a turn, after which others come first
_GAP = 0.05  # in which whoever waits takes the turn
_SILENCE = 3.0  # without a sign, after which nobody waits any more
_LOOK = 0.2  # between two looks for others while working ahead
_FIRST_WORD = 0.2  # of a wait that is worth a word
_SHOWS_LIFE = os.utime in os.supports_fd  # not on Windows, where nobody stops a process
_FLAGS = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_EVERYBODY = 0o666


class Flag(Protocol):
    """What stops the computation under way."""

    def raise_(self) -> None: ...

    def __bool__(self) -> bool: ...


class Turn:
    """A turn that somebody has. `wait` gives the locked file, or None where everybody computes."""

    def __init__(self, wait: Callable[[], int | None], long: float) -> None:
        self._wait = wait
        self._long = long
        self._lock = threading.Lock()  # of the file, which must not be another's when it gets a sign of life
        self._file = wait()
        self._since = time.monotonic()
        self._away = 0.0

    def clock(self) -> float:
        """Seconds on a clock that stands still while another has the turn."""
        return time.monotonic() - self._away

    def share(self) -> None:
        """To be called between two steps of the work: after a long turn another that waits has theirs first."""
        if self._file is None or time.monotonic() - self._since < self._long:
            return
        left = time.monotonic()
        self.end()
        time.sleep(_GAP)
        self._file = self._wait()
        self._since = time.monotonic()
        self._away += self._since - left

    def show_life(self) -> None:
        with self._lock:
            if self._file is not None:
                _show_life(self._file)

    def end(self) -> None:
        with self._lock:
            file, self._file = self._file, None
            if file is not None:
                os.close(file)


class Turns:
    """The turns of one engine. `place` is the file, None for an engine that waits for nobody.

    Once `abort` is raised, nothing is waited for; nor is a holder that was silent for `silence` seconds. A turn is
    `long` after so many.
    """

    def __init__(self, place: Path | None, abort: Flag, silence: float = _SILENCE, long: float = _LONG) -> None:
        self._place = place
        self._abort = abort
        self._silence = silence
        self._long = long
        self._given_up: int | None = None  # the last sign of life of a holder that nobody waits for

    @contextmanager
    def taken(self, on_wait: Callable[[float], None], is_stuck: Callable[[], bool] = lambda: False) -> Iterator[Turn]:
        """With the turn; it is waited for, and `on_wait` is told for how many seconds, once a second.

        Who `is_stuck` meanwhile shows no sign of life.
        """
        turn = Turn(lambda: self._wait(on_wait), self._long)
        try:
            with _every(_SIGN, lambda: None if is_stuck() else turn.show_life()):
                yield turn
        finally:
            turn.end()

    @contextmanager
    def ahead(self) -> Iterator[None]:
        """Work that nobody waits for: the abort flag is raised when somebody has the turn, or takes it."""

        def give_way() -> None:
            if self.is_anothers:
                self._abort.raise_()

        give_way()
        with _every(_LOOK, give_way):
            yield

    @property
    def is_anothers(self) -> bool:
        """Whether somebody has the turn. Not to be asked by who has it."""
        file = self._open()
        if file is None:
            return False
        try:
            return not try_lock(file) and not self._is_silent(file)
        finally:
            os.close(file)

    def _wait(self, on_wait: Callable[[float], None]) -> int | None:
        """The locked file; None where there is none, or none to wait for."""
        started = time.monotonic()
        next_word, sign, silent_since = _FIRST_WORD, -1, started
        while not self._abort and (file := self._open()) is not None:
            if try_lock(file) and _is_at(self._place, file):
                _show_life(file)
                return file
            last, sign = sign, os.fstat(file).st_mtime_ns
            is_silent = self._is_silent(file)
            os.close(file)
            now = time.monotonic()
            silent_since = silent_since if sign == last else now
            if is_silent or (_SHOWS_LIFE and now - silent_since > self._silence):
                self._given_up = sign
                return None
            if now - started >= next_word:
                on_wait(now - started)
                next_word = int(now - started) + 1
            time.sleep(_POLL)
        return None

    def _is_silent(self, file: int) -> bool:
        """Whether nobody waits for the holder any more, who has shown nothing since."""
        return os.fstat(file).st_mtime_ns == self._given_up

    def _open(self) -> int | None:
        """The file, made where there is none; None where that is not possible, or it is anything else than a file."""
        if self._place is None:
            return None
        try:
            with suppress(FileExistsError):
                return _make(self._place)
            file = os.open(self._place, _FLAGS)  # without O_CREAT, which Linux forbids with others' files in /tmp
        except OSError:
            return None
        if stat.S_ISREG(os.fstat(file).st_mode):
            return file
        os.close(file)
        return None


def _make(place: Path) -> int:
    """The file, open to everybody whatever the umask. Raises OSError."""
    file = os.open(place, _FLAGS | os.O_CREAT | os.O_EXCL, _EVERYBODY)
    if hasattr(os, "fchmod"):  # not on Windows
        os.fchmod(file, _EVERYBODY)
    return file


def _is_at(place: Path | None, file: int) -> bool:
    """Whether the file is still in its place, where others look for it."""
    try:
        return place is not None and os.path.samestat(os.fstat(file), place.lstat())
    except OSError:
        return False


def _show_life(file: int) -> None:
    if _SHOWS_LIFE:
        with suppress(OSError):
            os.utime(file)


@contextmanager
def _every(seconds: float, act: Callable[[], None]) -> Iterator[None]:
    """Do something again and again, on a thread that has ended afterwards."""
    over = threading.Event()

    def run() -> None:
        while not over.wait(seconds):
            act()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
