"""SQLite's errors as ours, in one place: each cause its own line, with what to do about it."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from llamachat.errors import StorageError

_PRIMARY = 0xFF  # the rest of a result code says more of the same cause (sqlite.org/rescode.html)
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_DAMAGED_SCHEMA = ("no such table", "no such column", "no such index", "vtable constructor failed")
_CAUSES = {
    sqlite3.SQLITE_FULL: ("cannot grow: the disk is full.", "Make room, or remove chats: llamachat sessions remove"),
    sqlite3.SQLITE_READONLY: (
        "cannot be written: it, its folder or its disk is read-only.",
        "Check its permissions, or name another folder with LLAMACHAT_HOME.",
    ),
    sqlite3.SQLITE_CANTOPEN: (
        "cannot be opened: its folder is not writable, or it is no file.",
        "Check its permissions, or name another folder with LLAMACHAT_HOME.",
    ),
    sqlite3.SQLITE_PERM: ("cannot be opened: this is not permitted.", "Check its permissions."),
    sqlite3.SQLITE_AUTH: ("cannot be opened: this is not permitted.", "Check its permissions."),
    sqlite3.SQLITE_BUSY: ("is held by another process for too long.", "Try again when that has ended."),
    sqlite3.SQLITE_LOCKED: ("is held by another process for too long.", "Try again when that has ended."),
    sqlite3.SQLITE_PROTOCOL: ("is held by another process for too long.", "Try again when that has ended."),
    sqlite3.SQLITE_IOERR: ("cannot be read or written: its disk reports an error.", "Check the disk."),
    sqlite3.SQLITE_NOMEM: ("cannot be read: there is no memory left.", "End other programs."),
    sqlite3.SQLITE_TOOBIG: ("cannot take a text of this size.", "Split it."),
}


class Damaged(StorageError):
    """The file is not what was written into it. `store/salvage.py` saves what is readable."""


class Busy(StorageError):
    """Another process holds the file; the same call may succeed a moment later."""


class ReadOnly(StorageError):
    """The file or its folder cannot be written; it may still be read."""


class Full(StorageError):
    """There is no room on the disk; what is there may still be read."""


class Gone(StorageError):
    """What was to be changed was removed meanwhile."""


_CLASSES: dict[int, type[StorageError]] = {
    **dict.fromkeys(_DAMAGE, Damaged),
    **dict.fromkeys((sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL), Busy),
    **dict.fromkeys((sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN), ReadOnly),
    sqlite3.SQLITE_FULL: Full,
}


@contextmanager
def sqlite_errors(path: Path | None) -> Iterator[None]:
    """Raise SQLite's errors as StorageErrors that name the file. A statement of ours that is wrong stays a bug."""
    try:
        yield
    except UnicodeDecodeError as error:  # SQLite's message quotes what it could not read
        raise damaged(path) from error
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & _PRIMARY
        if code == sqlite3.SQLITE_IOERR and _is_full(path):
            code = sqlite3.SQLITE_FULL
        if code in _DAMAGE or str(error).startswith(_DAMAGED_SCHEMA):
            raise damaged(path) from error
        if code not in _CAUSES:
            raise
        what, hint = _CAUSES[code]
        raise _CLASSES.get(code, StorageError)(f"{path or 'the database'} {what}", hint) from error


def gone() -> Gone:
    return Gone("this session was removed meanwhile.", "To begin another: llamachat")


def damaged(path: Path | None) -> Damaged:
    return Damaged(f"{path or 'the database'} is damaged.", "What is readable is saved at the next start.")


def _is_full(path: Path | None) -> bool:
    """Some writes that find no room (of the file that processes share) are reported as an error of the disk."""
    try:
        return path is not None and shutil.disk_usage(path.parent).free < 1 << 16
    except OSError:
        return False
