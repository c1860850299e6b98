"""Conversations whose writes wait, tried again while nobody calls: a disk gets room, another program lets go."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from llamachat.store.journal import Journal

_SECONDS = 1.0  # between two tries
_LAST_SECONDS = 5.0  # for another process to let go, when all ends


class Retries:
    """A thread, while there is something to try. `on_saved` is called from it when all of a conversation is written."""

    def __init__(self, on_saved: Callable[[], None], seconds: float = _SECONDS) -> None:
        self._on_saved = on_saved
        self._seconds = seconds
        self._journals: list[Journal] = []
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._ending = threading.Event()

    def watch(self, journal: Journal) -> None:
        """Try this one again until it is written."""
        with self._lock:
            if journal not in self._journals:
                self._journals.append(journal)
            if self._thread is None and not self._ending.is_set():
                self._thread = threading.Thread(target=self._run, name="retries", daemon=True)
                self._thread.start()

    def close(self) -> list[Journal]:
        """Try once more, with patience for another process; those that could not be written."""
        self._ending.set()
        if thread := self._thread:
            thread.join()
        deadline = time.monotonic() + _LAST_SECONDS
        while self._still_waiting() and any(each.is_held_up for each in self._journals) and time.monotonic() < deadline:
            time.sleep(_SECONDS / 10)
        return self._journals

    def _run(self) -> None:
        with suppress(Exception):  # the boundary of this thread: a call of the chat's own meets the fault, and says so
            while not self._ending.wait(self._seconds) and self._still_waiting():
                pass

    def _still_waiting(self) -> bool:
        """Try all; whether one is left. The thread is over when none is."""
        with self._lock:
            journals = tuple(self._journals)
        for journal in journals:
            journal.catch_up()
        with self._lock:
            written = [journal for journal in self._journals if journal.trouble is None]
            self._journals = [journal for journal in self._journals if journal.trouble is not None]
            is_left = bool(self._journals)
            self._thread = self._thread if is_left else None
        if written:
            self._on_saved()
        return is_left
