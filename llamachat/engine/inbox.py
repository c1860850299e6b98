"""What comes for the caller of an engine, in order: frames, ends of the child, notices, and the user's interrupts."""

from __future__ import annotations

import queue
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from llamachat.engine.base import Notice
from llamachat.engine.supervisor import Item

_POLL = 0.2 if sys.platform == "win32" else None  # a wait without a limit is deaf to Ctrl-C on Windows


@dataclass(frozen=True, slots=True)
class Interrupt:
    """The user wants the running request to end."""


class Inbox:
    """One queue that feeds the caller's thread. `post` and `interrupt` may be called by any."""

    def __init__(self) -> None:
        self._items: queue.SimpleQueue[Item | Interrupt] = queue.SimpleQueue()
        self._told: set[str] = set()  # notices

    def post(self, item: Item) -> None:
        """An item for the caller; a notice once, however often the model is loaded."""
        if isinstance(item, Notice):
            if item.text in self._told:
                return
            self._told.add(item.text)
        self._items.put(item)

    def put_back(self, notices: list[Notice]) -> None:
        """Keep these for the next that can show them."""
        for notice in notices:
            self._items.put(notice)

    def interrupt(self) -> None:
        self._items.put(Interrupt())  # SimpleQueue.put may be called from a signal handler

    def left_notices(self) -> Iterator[Notice]:
        """Empty the queue of what an earlier request left; notices are still to be shown."""
        with suppress(queue.Empty):
            while True:
                if isinstance(item := self._items.get_nowait(), Notice):
                    yield item

    def next(self, deadline: float | None) -> Item | Interrupt | None:
        """The next item; None when the deadline (monotonic seconds) passes first."""
        while True:
            wait = _POLL if deadline is None else max(0.0, deadline - time.monotonic())
            with suppress(queue.Empty):
                return self._items.get(timeout=wait)
            if deadline is not None:
                return None
