"""When nothing was asked for a while."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Closing = Callable[[], None]


class Idle:
    """Counts who uses something, and calls `rest` on a thread when nobody has for so many seconds; 0: never.

    Nobody begins to use it during that call, which may decline with None; what it returns is called when they may.
    """

    def __init__(self, seconds: float, rest: Callable[[], Closing | None]) -> None:
        self._seconds = seconds
        self._rest = rest
        self._lock = threading.Lock()
        self._n_users = 0
        self._timer: threading.Timer | None = None
        self._is_over = False

    @contextmanager
    def use(self) -> Iterator[None]:
        with self._lock:
            self._n_users += 1
            self._stop()
        try:
            yield
        finally:
            with self._lock:
                self._n_users -= 1
                self._start()

    def close(self) -> None:
        """Never rest again; a rest that has begun is waited for."""
        with self._lock:
            self._is_over = True
            timer = self._timer
            self._stop()
        if timer:
            timer.join()

    def _start(self) -> None:
        if self._seconds and not self._n_users and not self._is_over:
            self._timer = threading.Timer(self._seconds, self._time_is_up)
            self._timer.daemon = True
            self._timer.start()

    def _stop(self) -> None:
        if self._timer:
            self._timer.cancel()

    def _time_is_up(self) -> None:
        with self._lock:
            if self._n_users or self._is_over or threading.current_thread() is not self._timer:
                return
            closing = self._rest()
            if closing is None:
                self._start()
        if closing:
            closing()
