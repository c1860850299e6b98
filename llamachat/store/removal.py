"""Removal: what was said is in neither the file nor its log, and its room is given back; on a full disk as well."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection

from llamachat.store import statements
from llamachat.store.db import Database
from llamachat.store.faults import Busy, Full
from llamachat.store.index import Index
from llamachat.types import Role

_USERS = f"SELECT session, content FROM turns WHERE role = '{Role.USER}'"


def remove(db: Database, sessions: Collection[str], index: Index, say: Callable[[str], None]) -> None:
    """With all that is only theirs. A disk without room for a log is told of in a line where that matters."""
    try:
        with db.writing() as connection:
            _remove(connection, sessions, index)
            index.purge(connection)
        db.shed()
    except Full as error:
        _remove_in_place(db, sessions, index, say, error)


def said_only_in(db: Database, sessions: Collection[str]) -> set[str]:
    """The user's messages that stand in no other session."""
    wanted = frozenset(sessions)
    here: set[str] = set()
    elsewhere: set[str] = set()
    with db.reading() as connection:
        for session, content in connection.execute(_USERS):
            (here if session in wanted else elsewhere).add(content)
    return here - elsewhere


def _remove(connection: sqlite3.Connection, sessions: Collection[str], index: Index) -> None:
    for session in sessions:
        statements.remove_session(connection, session, index)


def _remove_in_place(
    db: Database, sessions: Collection[str], index: Index, say: Callable[[str], None], error: Full
) -> None:
    """First what was said, which makes room; the index may need more than that to be written anew."""
    try:
        with db.writing_in_place() as connection:
            _remove(connection, sessions, index)
    except (Busy, Full) as last:
        raise Full(error.message, "Make a little room, or end every other llamachat, and remove again.") from last
    try:
        with db.writing_in_place() as connection:
            index.purge(connection)
    except Full:
        say("what was said is gone; single words of it stay in the index until a removal finds room on the disk.")
