"""What becomes of an engine when its llamachat ends and lets it stay: it answers the next, one at a time.

It ends when nobody came for as long as it was told, when its socket is gone, or by a Close.
"""

from __future__ import annotations

import os
import queue
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from llamachat.engine.channel import Channel, Flag, Jobs, Left
from llamachat.engine.pipe import pack
from llamachat.engine.protocol import Close, Frame, Stay, Staying
from llamachat.engine.warm import is_ours, is_private

_LOOK = 1.0  # seconds between two looks for the socket
_BACKLOG = 4
_UNREAD_SECONDS = 10  # after which nobody answers a llamachat that does not read, as one that was stopped


class Server(Protocol):
    """What answers: the worker (worker.py)."""

    @property
    def abort(self) -> Flag: ...

    def run(self, channel: Channel, jobs: Jobs) -> Close | Stay | Left: ...

    def answer_at_once(self, frame: Frame) -> bool: ...

    def tidy(self, is_over: Callable[[], bool]) -> None: ...

    def describe(self) -> tuple[str, int]: ...


def stay(worker: Server, first: Channel, frame: Stay) -> None:
    """Serve whoever comes to the socket, after letting the first llamachat go."""
    place = Path(frame.place)
    if (found := _listen(place)) is None:  # another engine of its kind stays already
        return
    listener, known = found
    desk = Desk(listener, place, known, frame.seconds, worker.describe)
    _detach()
    first.close()
    while True:
        worker.tidy(lambda: desk.has_visitor)
        if (connection := desk.next()) is None:
            return
        with connection:
            if not _serve(worker, connection, desk):
                return


class Desk:
    """Lets in one visitor at a time, and tells every other that the engine is busy.

    `known` is the socket's file, as it was made; `describe` gives the engine's model and its bytes of memory.
    """

    def __init__(
        self, listener: socket.socket, place: Path, known: os.stat_result, seconds: float,
        describe: Callable[[], tuple[str, int]],
    ) -> None:  # fmt: skip
        self._listener = listener
        self._place = place
        self._known = known
        self._describe = describe
        self._seconds = seconds
        self._ends = time.monotonic() + seconds
        self._is_busy = False
        self._visitors: queue.SimpleQueue[socket.socket | None] = queue.SimpleQueue()
        self._announced = 0.0  # when it ends, by the clock that others read
        self._announce()
        threading.Thread(target=self._receive, daemon=True).start()

    @property
    def has_visitor(self) -> bool:
        return not self._visitors.empty()

    def next(self) -> socket.socket | None:
        """The next visitor; None when nobody came in time, or the socket is gone."""
        visitor = None
        with suppress(queue.Empty):
            visitor = self._visitors.get(timeout=max(0.0, self._ends - time.monotonic()))
        if visitor is None:
            self.close()
        return visitor

    def go_on(self, seconds: float | None = None, *, renewed: bool = True) -> None:
        """The visitor goes. If `renewed`, so many seconds are waited for the next; None: as many as before."""
        self._seconds = self._seconds if seconds is None else seconds
        if renewed:
            self._ends = time.monotonic() + self._seconds
            self._announce()
        self._is_busy = False

    def close(self) -> None:
        """Nobody comes any more."""
        if self._is_there():
            with suppress(OSError):
                self._place.unlink()
                self._place.parent.rmdir()  # if it was the last
        self._listener.close()

    def _announce(self) -> None:
        """Let the socket's time be that of our end, so that who only looks knows those that ended without a word."""
        self._announced = time.time() + self._seconds
        if self._is_there():
            with suppress(OSError):
                os.utime(self._place, (self._announced, self._announced))

    def _receive(self) -> None:
        """On a thread of its own: greet whoever comes, and pass on the first while nobody is there."""
        self._listener.settimeout(_LOOK)
        while True:
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                if not self._is_there() or self._is_taken_for_dead:
                    self._visitors.put(None)
                    return
                continue
            except OSError:  # closed
                return
            self._greet(connection)

    def _greet(self, connection: socket.socket) -> None:
        is_busy = self._is_busy
        model, n_bytes = self._describe()
        left = max(0.0, self._ends - time.monotonic())
        with suppress(OSError):
            if is_ours(connection):
                connection.settimeout(_LOOK)
                connection.sendall(pack(Staying(os.getpid(), model, n_bytes, left, is_busy)))
                if not is_busy:
                    connection.settimeout(None)
                    self._is_busy = True
                    self._visitors.put(connection)
                    return
        connection.close()

    @property
    def _is_taken_for_dead(self) -> bool:
        """Whether the time that was told is over by the clock, of which a sleeping machine may have skipped some."""
        return not self._is_busy and time.time() > self._announced

    def _is_there(self) -> bool:
        """Whether the socket in its place is ours."""
        try:
            return os.path.samestat(self._known, self._place.lstat())
        except OSError:
            return False


def _listen(place: Path) -> tuple[socket.socket, os.stat_result] | None:
    """A socket there, in the place of a dead one, and its file; None where an engine lives, or the folder is not ours.

    It takes its place when it can be connected to. Of two at once the later has it, and the other ends when it looks.
    """
    os.umask(0o077)
    with suppress(OSError):
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not is_private(place.parent) or _lives(place):
        return None
    draft = place.with_name(f"{os.getpid():x}")
    listener = socket.socket(socket.AF_UNIX)
    try:
        with suppress(FileNotFoundError):
            draft.unlink()
        listener.bind(os.fspath(draft))
        listener.listen(_BACKLOG)
        known = draft.lstat()
        draft.replace(place)
    except OSError:
        listener.close()
        with suppress(OSError):
            draft.unlink()
        return None
    return listener, known


def _lives(place: Path) -> bool:
    """Whether an engine is there. One that lets nobody in any more counts: it has the place."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_LOOK)
        try:
            probe.connect(os.fspath(place))
        except (TimeoutError, BlockingIOError):
            return True
        except OSError:
            return False
    return True


def _detach() -> None:
    """From the terminal and the folder of who started us."""
    with suppress(OSError):
        os.setsid()
    os.chdir("/")


def _serve(worker: Server, connection: socket.socket, desk: Desk) -> bool:
    """Answer one llamachat until it goes; whether there may be a next. What goes wrong ends the visit, not more."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", _UNREAD_SECONDS, 0))

    def hang_up() -> None:
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)

    channel = Channel(connection.fileno(), connection.fileno(), hang_up)
    jobs = Jobs(worker.abort, worker.answer_at_once)
    has_asked = threading.Event()

    def receive(frame: Frame) -> None:
        has_asked.set()
        jobs.receive(frame)

    listening = threading.Thread(target=channel.listen, args=(receive, lambda _code: jobs.receive(Left())))
    listening.start()
    match worker.run(channel, jobs):
        case Close():
            desk.close()
            goes_on = False
        case Stay(seconds):
            goes_on = True
            desk.go_on(seconds)
        case Left():  # who only looked changes nothing
            goes_on = True
            desk.go_on(renewed=has_asked.is_set())
    hang_up()  # who goes waits for this, so that the next is let in
    listening.join()
    return goes_on
