"""How a database of sessions is, without changing it: nothing is made, mended or brought up to date."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from llamachat.store.faults import damaged, sqlite_errors
from llamachat.store.header import check_header, check_is_file

_SOUND = "ok"


@dataclass(frozen=True, slots=True)
class Health:
    """Sessions and messages in it, and the bytes that it takes with its log."""

    n_sessions: int
    n_turns: int
    n_bytes: int


def look(path: Path) -> Health | None:
    """Check the file with SQLite's `quick_check`; None if there is none.

    Raises Damaged, and another StorageError for what is not ours to read: of another program, of a newer llamachat.
    """
    if not path.exists():
        return None
    check_is_file(path)
    check_header(path)
    log = path.with_name(f"{path.name}-wal")
    n_bytes = sum(file.stat().st_size for file in (path, log) if file.exists())
    with sqlite_errors(path), closing(_open(path)) as connection:
        if connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0:
            return Health(0, 0, n_bytes)
        if connection.execute("PRAGMA quick_check(1)").fetchone()[0] != _SOUND:
            raise damaged(path)
        n_sessions, n_turns = connection.execute("SELECT count(DISTINCT session), count(*) FROM turns").fetchone()
    return Health(n_sessions, n_turns, n_bytes)


def damaged_copies(path: Path) -> list[Path]:
    """What was kept of this database when it was damaged (salvage.py), the oldest first."""
    return sorted(copy for copy in path.parent.glob(f"{path.name}.damaged-*") if not copy.name.endswith("-wal"))


def _open(path: Path) -> sqlite3.Connection:
    """To read only. A log can be followed where its folder can be written, and is left out elsewhere."""
    place = path.absolute().as_uri()
    connection = sqlite3.connect(f"{place}?mode=ro", uri=True, isolation_level=None)
    try:
        connection.execute("PRAGMA schema_version").fetchone()
    except sqlite3.OperationalError:
        connection.close()
        return sqlite3.connect(f"{place}?mode=ro&immutable=1", uri=True, isolation_level=None)
    except BaseException:
        connection.close()
        raise
    return connection
