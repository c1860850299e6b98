"""Which processes are in the middle of an answer: each holds a lock that the system lets go when it ends.

A process number would not do: it is given away again, and a process that was killed keeps its own until its
parent has taken notice.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from llamachat.locks import try_lock


class Alive:
    """This process's lock, and a look at those of others. `stem` is what their files' names begin with.

    None for a database in memory, which no other process sees.
    """

    def __init__(self, stem: Path | None) -> None:
        self._stem = stem
        self._token = ""
        self._file: int | None = None

    def hold(self) -> str:
        """Be seen to live, until `release`. The token is what `is_held` asks for. Raises OSError."""
        while not self._token:
            token = os.urandom(6).hex()
            if self._stem is None or self._is_ours(self._path(self._stem, token)):
                self._token = token
        return self._token

    def release(self) -> None:
        if self._file is not None and self._stem is not None:
            with suppress(OSError):
                self._path(self._stem, self._token).unlink()
            os.close(self._file)
        self._file, self._token = None, ""

    def is_held(self, token: str) -> bool:
        """Whether the process with this token lives; if it does not, its file is gone afterwards."""
        if token == self._token or self._stem is None:
            return token == self._token
        path = self._path(self._stem, token)
        try:
            file = os.open(path, os.O_RDWR)
        except OSError:
            return False
        try:
            if not try_lock(file):
                return True
            with suppress(OSError):
                path.unlink()
            return False
        finally:
            os.close(file)

    def sweep(self) -> None:
        """Remove what killed processes left that were between two answers."""
        if self._stem is not None:
            for path in self._stem.parent.glob(f"{self._stem.name}-*"):
                self.is_held(path.name.removeprefix(f"{self._stem.name}-"))

    def _is_ours(self, path: Path) -> bool:
        """Make the file and lock it, unless somebody sweeps it away in between."""
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        if try_lock(file) and path.exists():
            self._file = file
            return True
        os.close(file)
        return False

    @staticmethod
    def _path(stem: Path, token: str) -> Path:
        return stem.with_name(f"{stem.name}-{token}")
