"""The engine's end of the pipe: frames out, frames in from a thread, requests in order."""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from llamachat.engine.pipe import FrameError, FrameReader, pack
from llamachat.engine.protocol import Cancel, Close, Down, Frame, Prefill, Reply

_PROTOCOL_EXIT = 70  # EX_SOFTWARE


class Channel:
    """Frames to and from llamachat, over two file descriptors."""

    def __init__(self, incoming: int, outgoing: int) -> None:
        self._reader = FrameReader(lambda n: os.read(incoming, n), Down)
        self._outgoing = outgoing
        self._lock = threading.Lock()

    def send(self, frame: Frame) -> None:
        """Send a frame whole. That llamachat is gone, the listening thread learns by itself."""
        data = memoryview(pack(frame))
        with self._lock, suppress(BrokenPipeError):
            while data:
                data = data[os.write(self._outgoing, data) :]

    def listen(self, receive: Callable[[Frame], None]) -> None:
        """Pass on every frame. The end of the pipe is the end of llamachat, and ends this process at once."""
        try:
            while (frame := self._reader.next()) is not None:
                receive(frame)
        except FrameError as error:
            print(f"llamachat sent {error}", file=sys.stderr, flush=True)  # noqa: T201  stderr is the log here
            os._exit(_PROTOCOL_EXIT)
        os._exit(0)


class Flag(Protocol):
    """What stops the computation under way."""

    def raise_(self) -> None: ...

    def lower(self) -> None: ...


class Jobs:
    """Requests in the order they came, and which of them is to be abandoned.

    `receive` is called by the listening thread, `next` by the working one.
    """

    def __init__(self, abort: Flag) -> None:
        self._abort = abort
        self._queue: queue.SimpleQueue[Frame] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._current: Frame | None = None
        self._cancelled: set[int] = set()

    def receive(self, frame: Frame) -> None:
        """Queue a request, or abort the running one: by a Cancel, a Close, or when it only prefills ahead of this.

        A prefill that evaluates a part of what is wanted now is not aborted in the middle of a batch: it ends after it.
        """
        with self._lock:
            if isinstance(frame, Cancel):
                self._cancelled.add(frame.id)
                if frame.id == self._id(self._current) or isinstance(self._current, Prefill):
                    self._abort.raise_()
                return
            self._queue.put(frame)
            if isinstance(frame, Close) or (isinstance(self._current, Prefill) and not _goes_on(self._current, frame)):
                self._abort.raise_()

    @property
    def is_waiting(self) -> bool:
        """Whether there is a next request already."""
        return not self._queue.empty()

    def next(self) -> Frame:
        """The next request. The abort flag is up already if it was cancelled or overtaken while it waited."""
        with self._lock:
            self._current = None
        frame = self._queue.get()
        with self._lock:
            self._current = frame
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
