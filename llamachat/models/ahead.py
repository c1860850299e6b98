"""Segments of a large file, fetched over connections of their own ahead of the one that writes the file.

Each lies in a file of its own beside the partial one, under a name that no other tool knows, so that the partial file
stays a prefix of the whole. What a killed run left there the next one uses. Whatever troubles a connection here ends
this quietly: the main connection goes on, with its own patience, and takes what is there.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from llamachat.models.hub import Hub, RemoteFile
from llamachat.models.wire import TooManyRequests, network_errors

if TYPE_CHECKING:
    import httpx2

_GAIN = 1.15  # times the rate of one connection, or it is not worth their number
_STOP_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Plan:
    """When to fetch ahead: from so many missing bytes on, in segments of so many, over so many connections."""

    threshold: int = 256 << 20
    segment: int = 32 << 20
    n_connections: int = 4


PLAN = Plan()


@dataclass(slots=True)
class Ahead:
    """The segments of one file; all but `_work` runs in the thread that writes the file.

    The connections are `client`'s, which may be used by several threads and whose making takes as long as a segment.
    """

    hub: Hub
    client: httpx2.Client
    file: RemoteFile
    partial: Path
    patience: float
    plan: Plan
    _threads: list[threading.Thread] = field(default_factory=list)
    _busy: set[int] = field(default_factory=set)
    _allowed: int = 0  # connections at once
    _next: int = 0
    _window: int = 0  # the first segment that is too far ahead
    _refusal: TooManyRequests | None = None
    _ended: threading.Event = field(default_factory=threading.Event)
    _change: threading.Condition = field(default_factory=threading.Condition)
    _rate_of_one: float = 0.0  # bytes/s, once measured
    _began: tuple[float, int] = (0.0, 0)  # seconds, and the byte where several connections began

    @property
    def is_running(self) -> bool:
        return bool(self._threads) and not self._ended.is_set()

    def until(self, done: int) -> int:
        """Where the main connection has to stop: at a segment that is here, or to measure how fast it is."""
        starts = [start for start in self._starts() if start > done]
        if not self._ended.is_set() and not self._threads and self._is_worth_it(done):
            boundary = (done // self.plan.segment + 2) * self.plan.segment
            starts.append(boundary)
        return min([*starts, self.file.n_bytes])

    def saw(self, n_bytes: int, seconds: float, done: int) -> None:
        """What one connection did. From the next boundary on, several try."""
        may_begin = not (self._threads or self._ended.is_set()) and done % self.plan.segment == 0
        if may_begin and n_bytes >= self.plan.segment and self._is_worth_it(done):
            self._rate_of_one = n_bytes / max(seconds, 1e-6)
            self._start(done)

    def take(self, done: int, tick: Callable[[], None]) -> tuple[Path, int] | None:
        """The segment that `done` lies in, as far as it was fetched, and the bytes before `done`; None without more.

        Waits while a connection is on it, and calls `tick` meanwhile. Raises TooManyRequests when one was told to wait.
        """
        index, skip = divmod(done, self.plan.segment)
        with self._change:
            self._window = index + 2 * self.plan.n_connections
            self._change.notify_all()
            while self.is_running and (index in self._busy or index >= self._next):
                self._change.wait(timeout=0.2)
                tick()
        if self._refusal is not None:
            refusal, self._refusal = self._refusal, None
            raise refusal
        self._judge(done)
        side = self._side(index)
        return (side, skip) if side.exists() and side.stat().st_size > skip else None

    def n_bytes(self, done: int) -> int:
        """Bytes that are here of what comes after `done`."""
        return sum(self._path(start).stat().st_size for start in self._starts() if start >= done)

    def stop(self) -> None:
        """No connection goes on; what came stays."""
        self._ended.set()
        with self._change:
            self._change.notify_all()
        deadline = time.monotonic() + _STOP_SECONDS
        for thread in self._threads:
            thread.join(timeout=max(0.0, deadline - time.monotonic()))

    def clear(self) -> None:
        """Remove what is here: the file is whole, or wrong."""
        self.stop()
        for start in self._starts():
            self._path(start).unlink(missing_ok=True)

    def _start(self, done: int) -> None:
        self._next = done // self.plan.segment
        self._window = self._next + 2 * self.plan.n_connections
        self._began = time.monotonic(), done
        self._allowed = self.plan.n_connections
        for _ in range(self.plan.n_connections):
            thread = threading.Thread(target=self._work, daemon=True)
            self._threads.append(thread)
            thread.start()

    def _judge(self, done: int) -> None:
        """Let one go on alone where several do no more than one did; nothing under way is thrown away."""
        began, start = self._began
        if self.is_running and done - start >= self.plan.n_connections * self.plan.segment:
            rate = (done - start) / max(time.monotonic() - began, 1e-6)
            if rate < _GAIN * self._rate_of_one:
                self._allowed = 1
            self._began = time.monotonic(), self.file.n_bytes  # once is enough

    def _work(self) -> None:
        """Segment after segment, until there are none, or until this or another connection has trouble."""
        try:
            while (index := self._claim()) is not None:
                is_whole = False
                try:
                    is_whole = self._fetch(index)
                finally:
                    if not is_whole:
                        self._ended.set()
                    with self._change:
                        self._busy.discard(index)
                        self._change.notify_all()
        except TooManyRequests as error:
            self._refusal = error
        except Exception:  # the boundary of this thread: the main connection meets the same trouble, and says it
            self._ended.set()

    def _claim(self) -> int | None:
        """The next segment for this connection, when it is not too far ahead; None at the end."""
        with self._change:
            while not self._ended.is_set() and (self._next >= self._window or len(self._busy) >= self._allowed):
                self._change.wait(timeout=0.2)
            if self._ended.is_set() or self._next * self.plan.segment >= self.file.n_bytes:
                return None
            index, self._next = self._next, self._next + 1
            self._busy.add(index)
            return index

    def _fetch(self, index: int) -> bool:
        """What is missing of a segment; whether all of it is here then."""
        side, start = self._side(index), index * self.plan.segment
        end = min(start + self.plan.segment, self.file.n_bytes)
        with side.open("ab", buffering=0) as out:
            position = start + out.tell()
            if position >= end:
                return position == end
            url = self.hub.url(self.file)
            headers = self.hub.headers() | {"range": f"bytes={position}-{end - 1}"}
            with (
                network_errors(self.hub.proxies, url, self.patience),
                self.client.stream("GET", url, headers=headers) as answer,
            ):
                self.hub.check(answer, self.file.repo, self.file.file)
                expected = f"bytes {position}-{end - 1}/{self.file.n_bytes}"
                if answer.status_code != 206 or answer.headers.get("content-range") != expected:
                    return False
                for block in answer.iter_raw():
                    if self._ended.is_set():
                        return False
                    position += out.write(block[: end - position])
        return position == end

    def _is_worth_it(self, done: int) -> bool:
        missing = self.file.n_bytes - done
        if missing < self.plan.threshold:
            return False
        return shutil.disk_usage(self.partial.parent).free > missing + 2 * self.plan.n_connections * self.plan.segment

    def _starts(self) -> list[int]:
        """Where the segments begin that are here or on their way."""
        paths = self.partial.parent.glob(f"{self.partial.name}.{self.file.etag[:8]}.*")
        return sorted(int(path.suffix[1:]) for path in paths if path.suffix[1:].isdigit())

    def _side(self, index: int) -> Path:
        return self._path(index * self.plan.segment)

    def _path(self, start: int) -> Path:
        return self.partial.with_name(f"{self.partial.name}.{self.file.etag[:8]}.{start}")
