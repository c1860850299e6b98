"""The folder of what prompts have evaluated to: how much lies there, whose it is, what has to go.

    kv/MODEL/BLOCK.kv      one block of the KV cache (llama/blocks.py knows what is in it)
    kv/MODEL/model.json    which model and build that is, and how fast they were
    kv/owners/SESSION      the blocks that a session used, one `MODEL/BLOCK.kv` a line

Only files: nothing here loads a block. Any number of processes may use the folder at once, since a file is put in
its place whole and never changed. What is used gets a new time, so the oldest are those to remove. Whatever cannot
be read or removed counts as absent: a cache must not stop anybody.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llamachat.errors import StorageError
from llamachat.paths import make_private_folder

SUFFIX = ".kv"
_OWNERS, _ABOUT, _DRAFT = "owners", "model.json", ".draft-"
_OWNER = re.compile(r"[\w-]{1,64}", re.ASCII)
_STALE = 3600.0  # seconds after which nobody finishes a draft
_ROOM = 1 << 30  # bytes of the disk that are left to others


@dataclass(frozen=True, slots=True)
class ModelUsage:
    """The blocks of one model in one build and shape. `name` is empty where it is not known any more."""

    name: str
    n_blocks: int
    n_bytes: int


@dataclass(frozen=True, slots=True)
class Usage:
    """All blocks."""

    n_blocks: int
    n_bytes: int
    models: tuple[ModelUsage, ...]


@dataclass(frozen=True, slots=True)
class _Found:
    path: Path
    n_bytes: int
    used: int  # nanoseconds since 1970

    @property
    def label(self) -> str:
        """As the files of owners have it."""
        return f"{self.path.parent.name}/{self.path.name}"


class Cache:
    """The folder `kv`, which is made when something is first written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def usage(self) -> Usage:
        """How much there is, by model, the largest first."""
        models: dict[Path, list[int]] = {}
        for block in self._blocks():
            models.setdefault(block.path.parent, []).append(block.n_bytes)
        named = [ModelUsage(str(about(path).get("name", "")), len(sizes), sum(sizes)) for path, sizes in models.items()]
        named.sort(key=lambda model: -model.n_bytes)
        return Usage(sum(model.n_blocks for model in named), sum(model.n_bytes for model in named), tuple(named))

    def clear(self) -> Usage:
        """Remove everything; what there was."""
        before = self.usage()
        shutil.rmtree(self.folder, ignore_errors=True)
        return before

    def trim(self, quota: int, build: str | None = None) -> int:
        """Keep at most `quota` bytes, the latest used, and nothing of another build of llama.cpp than `build`.

        Returns the bytes that are left.
        """
        if build is not None:
            for folder in self._models():
                if about(folder).get("build", build) != build:
                    shutil.rmtree(folder, ignore_errors=True)
        blocks = sorted(self._blocks(), key=lambda block: block.used)
        n_bytes = sum(block.n_bytes for block in blocks)
        for block in blocks:
            if n_bytes <= quota:
                break
            remove(block.path)
            n_bytes -= block.n_bytes
        self._sweep()
        return n_bytes

    def has_room(self, n_bytes: int) -> bool:
        """Whether the disk takes so much more and stays usable. Raises OSError."""
        for folder in (self.folder, *self.folder.parents):
            with suppress(FileNotFoundError):
                return shutil.disk_usage(folder).free > n_bytes + _ROOM
        return False

    def owned(self, owner: str) -> set[str]:
        """The blocks that this session used."""
        try:
            return set(self._owner(owner).read_text(encoding="ascii").split())
        except (OSError, ValueError):
            return set()

    def claim(self, owner: str, labels: Iterable[str]) -> None:
        """Write down that a session used these blocks."""
        path = self._owner(owner)
        with suppress(OSError, StorageError):
            make_private_folder(path.parent)
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | _NO_LINK, 0o600)
            try:
                os.write(file, "".join(f"{label}\n" for label in labels).encode("ascii"))
            finally:
                os.close(file)

    def forget(self, owners: Iterable[str]) -> None:
        """Remove the blocks that only these sessions used."""
        mine: set[str] = set()
        for owner in owners:
            mine |= self.owned(owner)
            remove(self._owner(owner))
        for owner in self._owners() if mine else ():
            mine -= self.owned(owner)
        for block in self._blocks():
            if block.label in mine:
                remove(block.path)

    def _owner(self, owner: str) -> Path:
        if not _OWNER.fullmatch(owner):
            raise ValueError(f"not a session's id: {owner!r}")
        return self.folder / _OWNERS / owner

    def _owners(self) -> list[str]:
        return [entry.name for entry in _entries(self.folder / _OWNERS) if _OWNER.fullmatch(entry.name)]

    def _models(self) -> Iterator[Path]:
        for entry in _entries(self.folder):
            if entry.name != _OWNERS and entry.is_dir(follow_symlinks=False):
                yield Path(entry.path)

    def _blocks(self) -> Iterator[_Found]:
        for folder in self._models():
            for entry in _entries(folder):
                if entry.name.endswith(SUFFIX):
                    with suppress(OSError):
                        known = entry.stat(follow_symlinks=False)
                        yield _Found(Path(entry.path), known.st_size, known.st_mtime_ns)

    def _sweep(self) -> None:
        """Remove drafts that nobody finishes, models without blocks, and owners of nothing."""
        oldest = time.time() - _STALE
        for folder in self._models():
            entries = _entries(folder)
            for entry in entries:
                with suppress(OSError):
                    if entry.name.startswith(_DRAFT) and entry.stat(follow_symlinks=False).st_mtime < oldest:
                        remove(Path(entry.path))
            if all(entry.name == _ABOUT for entry in entries) and entries:
                shutil.rmtree(folder, ignore_errors=True)
        known = {block.label for block in self._blocks()}
        for owner in self._owners():
            if not self.owned(owner) & known:
                remove(self._owner(owner))


_NO_LINK: int = getattr(os, "O_NOFOLLOW", 0)


def is_ours(path: Path) -> bool:
    """Whether this file or folder belongs to this user, nobody else can write there, and it is no link."""
    try:
        known = path.lstat()
    except OSError:
        return False
    return not stat.S_ISLNK(known.st_mode) and is_private(known)


def is_private(known: os.stat_result) -> bool:
    """Whether a file belongs to this user and nobody else can write to it; Windows keeps a user's folders apart."""
    return not hasattr(os, "getuid") or (known.st_uid == os.getuid() and not known.st_mode & 0o022)


def put(path: Path, parts: Iterable[Any]) -> None:
    """Make a file of these bytes, whole or not at all, readable by its owner alone. Raises OSError, StorageError.

    It is not forced to the disk, which takes a second for a gigabyte: a block that a power cut has torn does not
    have its checksum.
    """
    make_private_folder(path.parent)
    draft = path.with_name(f"{_DRAFT}{os.urandom(8).hex()}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINK | _BINARY, 0o600), "wb") as file:
            for part in parts:
                file.write(part)
        draft.replace(path)
    except BaseException:
        remove(draft)
        raise


_BINARY: int = getattr(os, "O_BINARY", 0)


def remove(path: Path) -> None:
    """Remove a file, if it is there and that is allowed."""
    with suppress(OSError):
        path.unlink()


def about(folder: Path) -> dict[str, Any]:
    """What is remembered of a model; empty where nothing is."""
    try:
        known = json.loads((folder / _ABOUT).read_bytes())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def remember(folder: Path, known: dict[str, Any]) -> None:
    """Write down what is known of a model. Raises OSError, StorageError."""
    put(folder / _ABOUT, [json.dumps(known).encode()])


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with suppress(OSError):
        return list(os.scandir(folder))
    return []
