"""What is written, statement by statement, inside a transaction of the caller's."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import datetime
from typing import Any

from llamachat.chat.conversation import Made
from llamachat.chat.transcript import Entry, Session, Transcript, settled, to_text
from llamachat.store import ids, rows
from llamachat.store.faults import damaged, gone
from llamachat.store.index import Index


def insert_session(connection: sqlite3.Connection, session: Session) -> str:
    """Its id, which is made here from the time at which it was begun."""
    name = ids.fresh(session.created)
    while connection.execute("SELECT 1 FROM sessions WHERE id = ?", (name,)).fetchone():
        name = ids.fresh(session.created)
    values = {
        "id": name,
        "title": rows.writable(session.title),
        "created": to_text(session.created),
        "updated": to_text(session.updated),
        "model": rows.writable_or_none(session.model),
        "preset": rows.writable_or_none(session.preset),
        "system": rows.writable_or_none(session.system),
        "one_shot": int(session.one_shot),
        "path": rows.writable_or_none(session.path),
    }
    _insert(connection, "sessions", values)
    return name


def insert_turn(connection: sqlite3.Connection, session: str, entry: Entry, writer: str | None = None) -> int:
    """Its number. The entry's own is not looked at."""
    values = {
        "session": session,
        "parent": entry.turn.parent,
        "state": str(entry.turn.state),
        "created": to_text(entry.created),
        "updated": to_text(entry.updated),
        "n_tokens": entry.n_tokens,
        "pinned": int(entry.pinned),
        "writer": writer,
        "made": rows.text_of(entry.made),
        **rows.values_of(entry.turn.message),
    }
    return _insert(connection, "turns", values)


def insert_summary(
    connection: sqlite3.Connection, first: int, last: int, content: str, made: Made | None, now: datetime
) -> int:
    values = {
        "session": session_of_turn(connection, first),
        "first": first,
        "last": last,
        "created": to_text(now),
        "made": rows.text_of(made),
        "content": rows.writable(content),
    }
    return _insert(connection, "summaries", values)


def insert_transcript(connection: sqlite3.Connection, transcript: Transcript) -> tuple[str, list[int]]:
    """A whole conversation as a session of its own: its id, and its turns' numbers."""
    session = insert_session(connection, transcript.session)
    numbers: dict[int | None, int | None] = {None: None}
    for entry in transcript.entries:
        turn = replace(entry.turn, parent=numbers[entry.turn.parent], state=settled(entry.turn.state))
        made = rows.translated(entry.made, numbers)
        numbers[entry.turn.number] = insert_turn(connection, session, replace(entry, turn=turn, made=made))
    summaries: dict[int, int] = {}
    for summary in transcript.summaries:
        first, last = numbers[summary.first], numbers[summary.last]
        made = rows.translated(summary.made, numbers, summaries)
        assert first is not None
        assert last is not None
        summaries[summary.number] = insert_summary(connection, first, last, summary.content, made, summary.created)
    for entry in transcript.entries:  # now that the summaries that answers saw have numbers
        number = numbers[entry.turn.number]
        if number is not None and entry.made is not None and "summary" in entry.made:
            made = rows.translated(entry.made, numbers, summaries)
            change_turn(connection, number, made=rows.text_of(made))
    change_session(connection, session, leaf=numbers[transcript.session.leaf])
    return session, [number for number in numbers.values() if number is not None]


def change_turn(connection: sqlite3.Connection, turn: int, **values: Any) -> None:
    """Set columns of a turn. Raises Gone."""
    columns = ", ".join(f"{name} = :{name}" for name in values)
    changed = connection.execute(f"UPDATE turns SET {columns} WHERE id = :turn", {"turn": turn, **values})
    if not changed.rowcount:
        raise gone()


def change_session(connection: sqlite3.Connection, session: str, **values: Any) -> None:
    """Set columns of a session. Raises Gone, or Damaged if only its index does not know it."""
    columns = ", ".join(f"{name} = :{name}" for name in values)
    changed = connection.execute(f"UPDATE sessions SET {columns} WHERE id = :session", {"session": session, **values})
    if not changed.rowcount:
        is_there = connection.execute("SELECT 1 FROM sessions WHERE +id = ?", (session,)).fetchone()
        raise damaged(None) if is_there else gone()


def check_turn(connection: sqlite3.Connection, session: str, turn: int) -> None:
    """Raises Gone unless it is one of the session's."""
    if not connection.execute("SELECT 1 FROM turns WHERE id = ? AND session = ?", (turn, session)).fetchone():
        raise gone()


def session_of_turn(connection: sqlite3.Connection, turn: int) -> str:
    """Raises Gone."""
    row = connection.execute("SELECT session FROM turns WHERE id = ?", (turn,)).fetchone()
    if row is None:
        raise gone()
    session: str = row[0]
    return session


def remove_leaf(connection: sqlite3.Connection, turn: int, index: Index) -> bool:
    """Remove a turn; a session that stood there stands where it did before. False if something follows the turn."""
    if connection.execute("SELECT 1 FROM turns WHERE parent = ?", (turn,)).fetchone():
        return False
    index.take_out(connection, turn)
    up = "UPDATE sessions SET leaf = (SELECT parent FROM turns WHERE id = :turn) WHERE leaf = :turn AND id = :session"
    connection.execute(up, {"turn": turn, "session": session_of_turn(connection, turn)})
    connection.execute("DELETE FROM summaries WHERE first = :turn OR last = :turn", {"turn": turn})
    connection.execute("DELETE FROM turns WHERE id = ?", (turn,))
    return True


def remove_session(connection: sqlite3.Connection, session: str, index: Index) -> None:
    """With all that is only its."""
    for (turn,) in connection.execute("SELECT id FROM turns WHERE session = ?", (session,)).fetchall():
        index.take_out(connection, turn)
    for table, column in (("summaries", "session"), ("turns", "session"), ("sessions", "id")):
        connection.execute(f"DELETE FROM {table} WHERE {column} = ?", (session,))


def _insert(connection: sqlite3.Connection, table: str, values: dict[str, Any]) -> int:
    columns, places = ", ".join(values), ", ".join(f":{name}" for name in values)
    number = connection.execute(f"INSERT INTO {table} ({columns}) VALUES ({places})", values).lastrowid
    assert number is not None
    return number
