"""The engine's end of the pipe: frames out, frames in from a thread, requests in order."""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
from collections.abc import Callable
from typing import Protocol

from llamachat.engine.pipe import FrameError, FrameReader, pack
from llamachat.engine.protocol import Cancel, Close, Down, Frame, Prefill, Reply, Stay

_PROTOCOL_EXIT = 70  # EX_SOFTWARE
_STUCK = 1.0  # seconds in which llamachat reads, unless it was stopped


class Left(Frame, frozen=True):
    """Who asked has gone without a word. Nobody sends it: it stands among the requests of an engine that stays."""


class Channel:
    """Frames to and from llamachat, over two file descriptors. `hang_up` is called when it does not read any more."""

    def __init__(self, incoming: int, outgoing: int, hang_up: Callable[[], None] = lambda: None) -> None:
        self._reader = FrameReader(lambda n: os.read(incoming, n), Down)
        self._descriptors = incoming, outgoing
        self._hang_up = hang_up
        self._lock = threading.Lock()
        self._sending_since: float | None = None

    def send(self, frame: Frame) -> None:
        """Send a frame whole. That llamachat is gone, the listening thread learns by itself."""
        data = memoryview(pack(frame))
        with self._lock:
            self._sending_since = time.monotonic()
            try:
                while data:
                    data = data[os.write(self._descriptors[1], data) :]
            except OSError:
                self._hang_up()
            finally:
                self._sending_since = None

    @property
    def is_stuck(self) -> bool:
        """Whether llamachat has not read for so long that it may never do."""
        since = self._sending_since
        return since is not None and time.monotonic() - since > _STUCK

    def listen(self, receive: Callable[[Frame], None], at_end: Callable[[int], None] = os._exit) -> None:
        """Pass on every frame, up to a Stay.

        The end of the pipe is the end of llamachat, and ends this process at once, unless `at_end` is something else;
        it gets an exit code.
        """
        code = 0
        try:
            while (frame := self._reader.next()) is not None:
                receive(frame)
                if isinstance(frame, Stay):
                    return
        except FrameError as error:
            print(f"llamachat sent {error}", file=sys.stderr, flush=True)  # noqa: T201  stderr is the log here
            code = _PROTOCOL_EXIT
        except OSError:  # a connection that broke
            pass
        at_end(code)

    def close(self) -> None:
        """Nothing is sent or heard any more."""
        with self._lock:
            for descriptor in self._descriptors:
                os.close(descriptor)
            self._descriptors = -1, -1  # their numbers will be others'


class Flag(Protocol):
    """What stops the computation under way."""

    def raise_(self) -> None: ...

    def lower(self) -> None: ...


class Jobs:
    """Requests in the order they came, and which of them is to be abandoned.

    `receive` is called by the listening thread, `next` by the working one. What `at_once` deals with, on the listening
    thread and while another request is worked on, is none of them.
    """

    def __init__(self, abort: Flag, at_once: Callable[[Frame], bool] = lambda _: False) -> None:
        self._abort = abort
        self._at_once = at_once
        self._queue: queue.SimpleQueue[Frame] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._current: Frame | None = None
        self._arrived = threading.Event()
        self._is_resting = False
        self._cancelled: set[int] = set()

    def receive(self, frame: Frame) -> None:
        """Queue a request, or abort the running one: by a Cancel, an end, or when it only prefills ahead of this.

        A prefill that evaluates a part of what is wanted now is not aborted in the middle of a batch: it ends after it.
        """
        if self._at_once(frame):
            return
        with self._lock:
            if isinstance(frame, Cancel):
                self._cancelled.add(frame.id)
                if frame.id == self._id(self._current) or isinstance(self._current, Prefill):
                    self._abort.raise_()
                return
            self._queue.put(frame)
            self._arrived.set()
            if self._is_resting:
                self._abort.raise_()
            is_end = isinstance(frame, Close | Stay | Left)
            if is_end or (isinstance(self._current, Prefill) and not _goes_on(self._current, frame)):
                self._abort.raise_()

    @property
    def is_waiting(self) -> bool:
        """Whether there is a next request already."""
        return not self._queue.empty()

    def rest(self, seconds: float) -> bool:
        """From here to the next request only work that every request aborts is done. Whether none came for so long."""
        with self._lock:
            self._current, self._is_resting = None, True
            if self.is_waiting:
                return False
            self._arrived.clear()
            self._abort.lower()
        return not self._arrived.wait(seconds)

    def next(self) -> Frame:
        """The next request. The abort flag is up already if it was cancelled or overtaken while it waited."""
        with self._lock:
            self._current = None
        frame = self._queue.get()
        with self._lock:
            self._current, self._is_resting = frame, False
            overtaken = isinstance(frame, Prefill) and not self._queue.empty()
            if overtaken or self._id(frame) in self._cancelled:
                self._abort.raise_()
            else:
                self._abort.lower()
        return frame

    @staticmethod
    def _id(frame: Frame | None) -> int | None:
        return getattr(frame, "id", None)


def _goes_on(prefill: Prefill, frame: Frame) -> bool:
    """Whether a request wants what is being evaluated."""
    return isinstance(frame, Prefill | Reply) and prefill.is_begin_of(frame.messages)
