"""What a database file says of itself, read before SQLite touches it."""

from __future__ import annotations

from pathlib import Path

from llamachat.errors import StorageError
from llamachat.store import migrations
from llamachat.store.faults import damaged

_MAGIC = b"SQLite format 3\0"
_HEADER_BYTES = 100  # sqlite.org/fileformat2.html, 1.3: the version at 60, the application at 68


def check_is_file(path: Path) -> None:
    """Refuse a folder, and a pipe, whose header would be waited for."""
    if path.exists() and not path.is_file():
        raise StorageError(f"{path} is not a file.", "Move it out of the way.")


def check_header(path: Path) -> None:
    """Refuse what is not ours, before SQLite touches it. An empty file is a new one."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEADER_BYTES)
    except OSError:
        return  # SQLite's words for it are better
    if not head and not path.with_name(f"{path.name}-wal").exists():
        return
    if len(head) < _HEADER_BYTES or not head.startswith(_MAGIC):
        raise damaged(path)
    version, application = (int.from_bytes(head[at : at + 4], "big") for at in (60, 68))
    n_pages = int.from_bytes(head[28:32], "big")  # one is a database without a table
    if (version or n_pages > 1) and application != migrations.APPLICATION_ID:
        raise StorageError(f"{path} is another program's database.", "Move it out of the way.")
    if version > migrations.LATEST:
        raise too_new(path, version)


def too_new(path: Path, version: int) -> StorageError:
    return StorageError(
        f"{path} was written by a newer llamachat (schema {version}; this one knows {migrations.LATEST}).",
        "Upgrade: pipx upgrade llamachat",
    )
