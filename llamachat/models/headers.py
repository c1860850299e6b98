"""Which files' headers were found right, so that a file is walked through once and not at every start."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import msgspec

from llamachat.errors import StorageError
from llamachat.paths import replace_file

_MOST = 200  # files remembered; then it begins anew


class _Known(msgspec.Struct, frozen=True):
    """A file as it was when its header was right: any other size, time or inode is another file."""

    size: int
    time_ns: int
    inode: int
    family: str


class Headers:
    """The record in a file, which need not exist; None remembers nothing."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def family(self, path: Path) -> str:
        """Architecture and file type of a model whose header is right, as `llama 15`. Raises ModelError."""
        known = self._read()
        stat = path.stat() if path.is_file() else None
        before = known.get(str(path))
        if before and stat and (before.size, before.time_ns, before.inode) == _identity(stat):
            return before.family
        from llamachat.models import gguf  # noqa: PLC0415  10 ms, and 20 for the walk, at the first use of a file

        checked = gguf.check(path)
        family = f"{checked.facts.architecture} {checked.facts.file_type}"
        if stat and len(checked.parts) == 1:
            self._remember({**(known if len(known) < _MOST else {}), str(path): _Known(*_identity(stat), family)})
        return family

    def _read(self) -> dict[str, _Known]:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=dict[str, _Known]) if self._path else {}
        except (OSError, msgspec.MsgspecError):
            return {}

    def _remember(self, known: dict[str, _Known]) -> None:
        if self._path:
            with suppress(StorageError):
                replace_file(self._path, msgspec.json.encode(known))


def _identity(stat: os.stat_result) -> tuple[int, int, int]:
    return stat.st_size, stat.st_mtime_ns, stat.st_ino
