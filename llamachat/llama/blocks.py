"""Blocks of a KV cache as files: a few dozen tokens and what they evaluate to, after all that stood before them.

A block's name says where it belongs: `PARENT-OWN-GRID.kv`. OWN is a hash of PARENT and the block's tokens, PARENT the
name of the block before it, or the model's fingerprint. So two prompts that begin alike share the files of what they
share, and those that may follow are found by looking. GRID says how the tokens were cut when they were evaluated.

    8 bytes   b"lcblock" and the version of this layout
    16, 16, 4 PARENT, OWN, GRID
    4, 4      position of the first token, number of tokens
    8         length of the state
    ...       the tokens, 32 bits each, little-endian
    ...       the state, as llama.cpp gives it
    16        BLAKE2b of all that

A file that is not exactly that, or belongs to somebody else, or that others can write to, is removed. No llama.cpp
here.
"""

from __future__ import annotations

import hashlib
import os
import stat
import struct
import sys
import threading
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llamachat.cache import SUFFIX, is_ours, is_private, put, remove

OFF_GRID = bytes(4)
_MAGIC = b"lcblock\x01"
_HEADER = struct.Struct("<8s16s16s4sIIQ")
_DIGEST = 16
_LARGEST = 1 << 30  # bytes of a file
_MOST_PEEKED = 256  # blocks with the same one before them whose tokens are looked at, the latest of them
_OPEN = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)


@dataclass(frozen=True, slots=True)
class Name:
    """A block's place, from its file's name."""

    parent: bytes
    own: bytes
    grid: bytes

    @property
    def file(self) -> str:
        return f"{self.parent.hex()}-{self.own.hex()}-{self.grid.hex()}{SUFFIX}"

    @classmethod
    def of(cls, file: str) -> Name | None:
        """None for a file that is no block."""
        with suppress(ValueError):
            parent, own, grid = map(bytes.fromhex, file.removesuffix(SUFFIX).split("-"))
            name = cls(parent, own, grid)
            return name if name.file == file and len(parent) == len(own) == 16 and len(grid) == 4 else None
        return None


@dataclass(frozen=True, slots=True)
class Content:
    """A block as it was read and found right. `state` is writable memory."""

    tokens: Sequence[int]
    state: memoryview


def chain(parent: bytes, tokens: Sequence[int]) -> bytes:
    """The name of a block: of its tokens and everything before them."""
    return hashlib.blake2b(parent + _packed(tokens), digest_size=16).digest()


class Folder:
    """The blocks of one model. It may change at any time: others write and remove."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def children(self) -> dict[bytes, list[Name]]:
        """All blocks there are, by the one before them. None of a folder that others can write to."""
        found: dict[bytes, list[Name]] = {}
        if is_ours(self.path) and is_ours(self.path.parent):
            with os.scandir(self.path) as entries:
                for name in filter(None, (Name.of(entry.name) for entry in entries)):
                    found.setdefault(name.parent, []).append(name)
        return found

    def size(self, name: Name) -> int:
        """Bytes; 0 where it is gone."""
        with suppress(OSError):
            return (self.path / name.file).lstat().st_size
        return 0

    def tokens(self, names: Sequence[Name]) -> Iterator[tuple[Name, Sequence[int]]]:
        """The tokens of these blocks, unchecked: those used latest, where there are many."""
        if len(names) > _MOST_PEEKED:
            names = sorted(names, key=self._used, reverse=True)[:_MOST_PEEKED]
        for name in names:
            if (tokens := self._peek(name)) is not None:
                yield name, tokens

    def read(self, name: Name, start: int) -> Content | None:
        """A block that begins at this position. None if it is gone, or damaged or not ours: then it is removed."""
        try:
            with self._open(name) as file:
                if file is not None and (content := _checked(_whole(file), name, start)):
                    return content
        except FileNotFoundError:
            return None
        except OSError:
            pass  # a link, a folder, a disk that fails
        remove(self.path / name.file)
        return None

    def write(self, name: Name, start: int, tokens: Sequence[int], state: Any) -> int:
        """Write a block; its bytes. Raises OSError."""
        head = _HEADER.pack(_MAGIC, name.parent, name.own, name.grid, start, len(tokens), len(state)) + _packed(tokens)
        put(self.path / name.file, _with_digest(head, memoryview(state)))
        return len(head) + len(state) + _DIGEST

    def remove(self, name: Name) -> None:
        remove(self.path / name.file)

    def touch(self, name: Name, nanoseconds: int) -> None:
        """Say when it was used."""
        with suppress(OSError):
            os.utime(self.path / name.file, ns=(nanoseconds, nanoseconds))

    def _used(self, name: Name) -> int:
        with suppress(OSError):
            return (self.path / name.file).lstat().st_mtime_ns
        return 0

    def _peek(self, name: Name) -> Sequence[int] | None:
        with suppress(OSError), self._open(name) as file:
            if file is not None and len(head := file.read(_HEADER.size)) == _HEADER.size:
                n_tokens = _HEADER.unpack(head)[5]
                return _unpacked(file.read(4 * min(n_tokens, 1 << 16)))
        return None

    @contextmanager
    def _open(self, name: Name) -> Iterator[Any]:
        """The file, open for reading; None where it is no regular file that only this user can write to.

        Raises OSError: it is gone, or a link.
        """
        with os.fdopen(os.open(self.path / name.file, _OPEN), "rb", buffering=0) as file:
            known = os.fstat(file.fileno())
            is_right = stat.S_ISREG(known.st_mode) and is_private(known) and known.st_size <= _LARGEST
            yield file if is_right else None


def _with_digest(head: bytes, state: memoryview) -> Iterator[bytes | memoryview]:
    """A block's bytes. The digest is computed while they are written, which takes as long."""
    digest = hashlib.blake2b(head, digest_size=_DIGEST)
    hashing = threading.Thread(target=digest.update, args=(state,))
    hashing.start()
    try:
        yield head
        yield state
    finally:
        hashing.join()
    yield digest.digest()


def _whole(file: Any) -> memoryview:
    """All of an open file. It is read, not mapped: one that is cut short meanwhile would end us with SIGBUS."""
    data = memoryview(bytearray(os.fstat(file.fileno()).st_size))
    filled = 0
    while filled < len(data) and (count := file.readinto(data[filled:])):
        filled += count
    return data[:filled]


def _checked(data: memoryview, name: Name, start: int) -> Content | None:
    """What is in a block's bytes, if they are the right ones."""
    if len(data) < _HEADER.size:
        return None
    magic, parent, own, grid, at, n_tokens, n_state = _HEADER.unpack_from(data)
    ends = _HEADER.size + 4 * n_tokens, _HEADER.size + 4 * n_tokens + n_state
    if (magic, parent, own, grid, at) != (_MAGIC, name.parent, name.own, name.grid, start):
        return None
    if len(data) != ends[1] + _DIGEST:
        return None
    if hashlib.blake2b(data[: ends[1]], digest_size=_DIGEST).digest() != data[ends[1] :]:
        return None
    tokens = _unpacked(data[_HEADER.size : ends[0]])
    return Content(tokens, data[ends[0] : ends[1]]) if chain(parent, tokens) == own else None


def _packed(tokens: Sequence[int]) -> bytes:
    ids = array("i", tokens)
    if sys.byteorder == "big":
        ids.byteswap()
    return ids.tobytes()


def _unpacked(data: bytes | memoryview) -> Sequence[int]:
    ids = array("i", bytes(data[: len(data) // 4 * 4]))
    if sys.byteorder == "big":
        ids.byteswap()
    return ids.tolist()
