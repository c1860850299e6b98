"""What is done in an environment, and the lock on it."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

STAMPS = ("chat", "dev")
RUNNING = "running"
LOCK_POLL_SECONDS = 0.5


class State:
    """The steps done in an environment: on disk at every moment, and empty if it was not made here."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / "state.json"
        self._entries: dict[str, str] = {}
        self.exists = self._path.exists()
        with suppress(FileNotFoundError, ValueError):
            self._entries = dict(json.loads(self._path.read_bytes()))

    def __getitem__(self, step: str) -> str:
        """Return what `step` was done for, or an empty string."""
        return self._entries.get(step, "")

    def __setitem__(self, step: str, key: str) -> None:
        self._entries[step] = key
        self._write()

    def begin(self, step: str) -> None:
        """Cross `step` out, with the stamps that tell make that all is done."""
        self._unstamp()
        self._entries.pop(step, None)
        self[RUNNING] = step

    def finish(self, step: str, key: str) -> None:
        self._entries.pop(RUNNING, None)
        self[step] = key

    def clear(self) -> None:
        """Forget all but what the caller wants."""
        self._unstamp()
        self._entries = {"cmake_args": self["cmake_args"]}
        self._write()

    def stamp(self, name: str, as_of: float) -> None:
        """Tell make that all is done for the sources as they were then (seconds since the epoch)."""
        (self._folder / name).touch()
        os.utime(self._folder / name, (as_of, as_of))

    def _unstamp(self) -> None:
        for name in STAMPS:
            (self._folder / name).unlink(missing_ok=True)

    def _write(self) -> None:
        draft = self._path.with_suffix(".new")
        draft.write_text(json.dumps(self._entries, indent=1) + "\n", encoding="utf-8")
        draft.replace(self._path)
        self.exists = True


@contextmanager
def locked(path: Path, out: TextIO) -> Iterator[int]:
    """Hold the lock on `path`, a file that is kept, and give its descriptor; wait for another install to end.

    A command that inherits the descriptor keeps the lock until it ends.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not _try_lock(handle):
            out.write(f"Another install is at work in {path.parent.parent}: waiting for it.\n")
            out.flush()
            while not _try_lock(handle):
                time.sleep(LOCK_POLL_SECONDS)
        yield handle
    finally:
        os.close(handle)


def _try_lock(handle: int) -> bool:
    try:
        if sys.platform == "win32":
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True
