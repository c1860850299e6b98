"""A time limit on Python code that cannot be asked to stop: an endless loop in somebody's template.

Signals reach only the main thread and `SIGALRM` is not on Windows, so the work gets a thread of its own,
and an exception is raised in that thread when its time is up. Whatever that exception interrupts dies
with the thread: it cannot arrive late in code that goes on. One operation inside C is not interrupted;
the thread is then left behind, and the caller gets its error all the same.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

_Result = TypeVar("_Result")

_PATIENCE_SECONDS = 1.0  # for an interrupted thread to end
_RETRY_SECONDS = 0.05  # the exception can be swallowed where Python ignores exceptions (a __del__)


class _TimeUp(SystemExit):
    """Raised inside the thread. A SystemExit, since `threading` lets a thread end by one without a report."""


def within(seconds: float, work: Callable[[], _Result]) -> _Result:
    """What `work()` returns or raises. Raises TimeoutError after `seconds`, with the work stopped."""
    task = _Task(work)
    task.thread.start()
    task.thread.join(seconds)
    if task.thread.is_alive():
        _stop(task)
        raise TimeoutError(f"not done after {seconds:g} seconds")
    return task.outcome()


class _Task(Generic[_Result]):
    """`work` in a thread, and how it ended."""

    def __init__(self, work: Callable[[], _Result]) -> None:
        self.thread = threading.Thread(target=self._run, name="deadline", daemon=True)
        self.running = True
        self.ending = threading.Lock()  # held while the thread may not end: its id stays its own
        self._work = work
        self._results: list[_Result] = []
        self._error: BaseException | None = None

    def _run(self) -> None:
        try:
            self._results.append(self._work())
        except BaseException as error:  # it is raised again, in the caller's thread
            self._error = error
        with self.ending:
            self.running = False

    def outcome(self) -> _Result:
        if self._error is not None:
            raise self._error
        return self._results[0]


def _stop(task: _Task[_Result]) -> None:
    for _ in range(int(_PATIENCE_SECONDS / _RETRY_SECONDS)):
        with task.ending:
            if task.running and task.thread.ident is not None:
                identity = ctypes.c_ulong(task.thread.ident)
                ctypes.pythonapi.PyThreadState_SetAsyncExc(identity, ctypes.py_object(_TimeUp))
        task.thread.join(_RETRY_SECONDS)
        if not task.thread.is_alive():
            return
