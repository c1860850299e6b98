"""The sha256 of model files that nobody vouches for, computed while nothing else is to be done.

A file is read once, a block at a time, on a thread with the lowest priority. It waits while the engine computes, and
what it finds is remembered in the index for as long as the file stays as it is.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from llamachat.errors import LlamachatError
from llamachat.models.index import Hash, Index, Stamp
from llamachat.models.installed import later_parts

_BLOCK = 1 << 20
_LOOK_SECONDS = 0.1  # between looks whether the engine still computes
_LOWEST = 19  # priority

OnHash = Callable[[Path, str], None]


class Hasher:
    """Hashes one file at a time. `is_busy` says whether the engine computes, `on_hash` is told a file and its hash.

    Both are called from the thread.
    """

    def __init__(self, index: Index, is_busy: Callable[[], bool], on_hash: OnHash) -> None:
        self._index = index
        self._is_busy = is_busy
        self._on_hash = on_hash
        self._stamps: dict[Path, Stamp] = {}
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def note(self, path: Path) -> None:
        """A model is about to be loaded: what is hashed later has to be the same file."""
        with suppress(OSError):
            self._stamps[path] = Stamp.of(path)

    def begin(self, path: Path) -> None:
        """Hash a file that was noted, once, unless another is under way. One in parts has no hash of its own."""
        is_free = self._thread is None or not self._thread.is_alive()
        if is_free and not later_parts(path) and (stamp := self._stamps.pop(path, None)):
            self._thread = threading.Thread(target=self._run, args=(path, stamp), name="hash", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Stop; what is half done is lost."""
        self._stopped.set()
        if self._thread:
            self._thread.join()

    def _run(self, path: Path, stamp: Stamp) -> None:
        _give_way()
        with suppress(OSError, LlamachatError):  # without a hash all goes on
            sha256 = self._hash(path) if Stamp.of(path) == stamp else ""
            if sha256 and Stamp.of(path) == stamp:
                self._on_hash(path, sha256)
                self._index.keep_hash(path, Hash(stamp, sha256))

    def _hash(self, path: Path) -> str:
        """Empty if it was stopped. Raises OSError."""
        import hashlib  # noqa: PLC0415

        digest = hashlib.sha256()
        with path.open("rb", buffering=0) as file:
            while block := file.read(_BLOCK):
                digest.update(block)
                while self._is_busy() and not self._stopped.wait(_LOOK_SECONDS):
                    pass
                if self._stopped.is_set():
                    return ""
        return digest.hexdigest()


def _give_way() -> None:
    """Let everything else on this machine come first; only Linux has priorities for threads."""
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LOWEST)
