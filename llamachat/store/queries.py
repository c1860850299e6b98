"""What is read, as values."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace

from llamachat.chat.transcript import Session, Transcript
from llamachat.errors import UsageError
from llamachat.store import ids, left_behind, rows
from llamachat.store.alive import Alive
from llamachat.store.db import Database
from llamachat.store.faults import Damaged, damaged

_HEAD = """
    SELECT sessions.*, (SELECT count(*) FROM turns WHERE turns.session = sessions.id) AS n_messages FROM sessions
"""
_HAS_TURNS = "EXISTS (SELECT 1 FROM turns WHERE turns.session = sessions.id)"
_SHOWN_CANDIDATES = 5


def newest(db: Database, most: int) -> list[Session]:
    """Those that have turns; -1 is all of them."""
    return _heads(db, f"{_HEAD} WHERE {_HAS_TURNS} ORDER BY updated DESC, id DESC LIMIT ?", most)


def latest_chat(db: Database) -> Session | None:
    sql = f"{_HEAD} WHERE one_shot = 0 AND {_HAS_TURNS} ORDER BY updated DESC, id DESC LIMIT 1"
    return next(iter(_heads(db, sql)), None)


def untouched_since(db: Database, moment: str) -> list[Session]:
    """Those in which nothing happened since, empty ones included; the oldest first."""
    return _heads(db, f"{_HEAD} WHERE updated < ? ORDER BY updated", moment)


def beginning_with(db: Database, typed: str) -> Session:
    """The one session whose id begins so. Raises UsageError for none and for several."""
    start = ids.normal(typed)
    found = _heads(db, f"{_HEAD} WHERE id >= ? AND id < ? ORDER BY id DESC", start, f"{start}~") if start else []
    if not found:
        raise _missing(db, start, typed)
    if len(found) > 1:
        raise _ambiguous(typed, found)
    return found[0]


def is_there(db: Database, session: str) -> bool:
    with db.reading() as connection:
        return connection.execute("SELECT 1 FROM sessions WHERE id = ?", (session,)).fetchone() is not None


def transcript(db: Database, session: str, alive: Alive) -> Transcript:
    """All of a session. Raises UsageError if there is none of this id."""
    head, turns, texts = _rows(db, session)
    dead = left_behind.dead_writers(turns, alive)
    if dead:  # or they have just ended
        head, turns, texts = _rows(db, session)
    if head is None:
        raise _missing(db, session, session)
    entries = left_behind.as_left_behind(turns, db.path, dead)
    leaf = left_behind.nearest(head["leaf"], turns, {entry.turn.number for entry in entries})
    return Transcript(
        session=replace(rows.session_of(head, db.path), leaf=leaf, n_messages=len(entries)),
        entries=entries,
        summaries=tuple(rows.summary_of(row, db.path) for row in texts),
    )


def _rows(db: Database, session: str) -> tuple[sqlite3.Row | None, list[sqlite3.Row], list[sqlite3.Row]]:
    """A session's head, turns and summaries, all of one moment, whatever others write."""
    with db.reading() as connection:
        connection.execute("BEGIN")
        try:
            head = connection.execute(f"{_HEAD} WHERE id = ?", (session,)).fetchone()
            turns = connection.execute("SELECT * FROM turns WHERE session = ? ORDER BY id", (session,)).fetchall()
            texts = connection.execute("SELECT * FROM summaries WHERE session = ? ORDER BY id", (session,)).fetchall()
        finally:
            if connection.in_transaction:  # some errors end it themselves
                connection.execute("ROLLBACK")
    return head, turns, texts


def _heads(db: Database, sql: str, *values: str | int) -> list[Session]:
    with db.reading() as connection:
        found = connection.execute(sql, values).fetchall()
    return [rows.session_of(row, db.path) for row in found]


def _missing(db: Database, start: str, typed: str) -> UsageError | Damaged:
    """The index does not know it; if the table does (`+`: without the index), the index is damaged."""
    if start and _heads(db, f"{_HEAD} WHERE +id >= ? AND +id < ?", start, f"{start}~"):
        return damaged(db.path)
    return UsageError(f"there is no session {typed!r}.", "Those that are there: llamachat sessions list")


def _ambiguous(typed: str, found: Sequence[Session]) -> UsageError:
    shown = ", ".join(f"{each.id} ({each.title})" for each in found[:_SHOWN_CANDIDATES])
    more = f", and {len(found) - _SHOWN_CANDIDATES} more" if len(found) > _SHOWN_CANDIDATES else ""
    return UsageError(f"{len(found)} sessions begin with {typed!r}: {shown}{more}.", "Type more of it.")
