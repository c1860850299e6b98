"""The text files of a folder or pattern: what somebody means by `src/` or `src/*.py`.

What is hidden, generated or foreign (`node_modules`, caches, virtual environments) is left out unless it is named;
links to folders are not followed. A walk looks at a limited number of entries, so that `/` ends.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import Path

from llamachat.chat.document import text_bytes

MOST_ENTRIES = 5_000
_FOREIGN = ("node_modules", "__pycache__")
_MARKS = "*?["


@dataclass(frozen=True, slots=True)
class Listing:
    """Text files in order. `more`: there are entries that were not looked at."""

    files: tuple[Path, ...]
    n_bytes: int
    more: bool


def is_pattern(text: str) -> bool:
    return any(mark in text for mark in _MARKS)


def in_folder(path: Path, most: int = MOST_ENTRIES) -> Listing:
    """The text files in a folder and below it."""
    return _listing(path, ("**",), most)


def matching(pattern: Path, most: int = MOST_ENTRIES) -> Listing:
    """The text files that an absolute pattern matches. `**` is any number of folders."""
    parts = pattern.parts
    n_fixed = next((index for index, part in enumerate(parts) if is_pattern(part)), len(parts))
    return _listing(Path(*parts[:n_fixed]), parts[n_fixed:], most)


def _listing(folder: Path, parts: Sequence[str], most: int) -> Listing:
    walk = _Walk(most)
    sizes = {path: n_bytes for path in dict.fromkeys(walk.files(folder, parts)) if (n_bytes := text_bytes(path))}
    return Listing(tuple(sizes), sum(sizes.values()), walk.is_cut)


class _Walk:
    """One pass over folders; `is_cut` when it ran out of the entries that it may look at."""

    def __init__(self, most: int) -> None:
        self._left = most
        self.is_cut = False

    def files(self, folder: Path, parts: Sequence[str]) -> Iterator[Path]:
        """What matches the parts of a pattern, one a level; whether a file is one is for others to see."""
        first, rest = parts[0], parts[1:]
        if first == "**":
            for each in self._folders(folder):
                yield from self.files(each, rest or ("*",))
            return
        for entry in self._entries(folder):
            if fnmatchcase(entry.name, first) and (first.startswith(".") or not entry.name.startswith(".")):
                if not rest:
                    yield Path(entry.path)
                elif entry.is_dir():
                    yield from self.files(Path(entry.path), rest)

    def _folders(self, top: Path) -> Iterator[Path]:
        """The folder and all below it that are one's own; without recursion, since they may lie deep."""
        waiting = [top]
        while waiting:
            folder = waiting.pop()
            yield folder
            below = [Path(entry.path) for entry in self._entries(folder) if _is_own_folder(entry)]
            waiting += reversed(below)

    def _entries(self, folder: Path) -> list[os.DirEntry[str]]:
        """By name; none of a folder that cannot be read."""
        try:
            with os.scandir(folder) as found:
                entries = list(islice(found, self._left + 1))
        except OSError:
            return []
        self.is_cut = self.is_cut or len(entries) > self._left
        del entries[self._left :]
        self._left -= len(entries)
        return sorted(entries, key=lambda entry: entry.name)


def _is_own_folder(entry: os.DirEntry[str]) -> bool:
    if entry.name.startswith(".") or entry.name in _FOREIGN or not entry.is_dir(follow_symlinks=False):
        return False
    return not Path(entry.path, "pyvenv.cfg").exists()
