"""What is done about a damaged file: it is kept, and what is readable of it goes into a new one in its place."""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path

from llamachat.chat.conversation import State
from llamachat.chat.transcript import title_of, to_moment
from llamachat.errors import StorageError
from llamachat.paths import locked, private_file
from llamachat.store import migrations, pages
from llamachat.store.db import Identity, identity
from llamachat.store.faults import sqlite_errors
from llamachat.store.index import Index
from llamachat.store.pages import Value
from llamachat.types import Role

_ID = re.compile(r"[0-9a-z]{12}")
_ROLES = frozenset(Role)
_STATES = frozenset(State)
_LOST_TITLE = "(its title was lost)"
_EPOCH = "1970-01-01T00:00:00.000Z"

_PUT_SESSION = "INSERT OR REPLACE INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_PUT_TURN = f"INSERT OR REPLACE INTO turns VALUES ({', '.join('?' * 16)})"
_PUT_SUMMARY = "INSERT OR REPLACE INTO summaries VALUES (?, ?, ?, ?, ?, ?, ?)"
_N_SESSION, _N_TURN, _N_SUMMARY = 10, 16, 7

# Turns come after those they follow, so a parent of a greater number is a wrong one. A turn whose parent was lost
# follows the one before it that it can follow: what was said stays in order.
_REPAIR = f"""
    INSERT INTO sessions SELECT session, '{_LOST_TITLE}', min(created), max(updated), NULL, NULL, NULL, 0, NULL, NULL
        FROM turns WHERE session NOT IN (SELECT id FROM sessions) GROUP BY session;
    UPDATE turns SET parent = (
        SELECT max(other.id) FROM turns AS other
        WHERE other.session = turns.session AND other.id < turns.id AND other.role <> turns.role
    ) WHERE parent IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM turns AS other
        WHERE other.id = turns.parent AND other.session = turns.session AND other.id < turns.id
    );
    UPDATE sessions SET leaf = (SELECT max(id) FROM turns WHERE session = sessions.id)
        WHERE leaf IS NULL OR NOT EXISTS (SELECT 1 FROM turns WHERE id = leaf AND session = sessions.id);
    DELETE FROM summaries WHERE session NOT IN (SELECT id FROM sessions)
        OR first NOT IN (SELECT id FROM turns) OR last NOT IN (SELECT id FROM turns);
"""


def salvage(path: Path, known: Identity, index: Index) -> str | None:
    """Replace the damaged file by one with what is readable, and say so in a line. None if another process has.

    Raises StorageError, and leaves the file as it was. What another process writes into it meanwhile is only in the
    file that is kept.
    """
    with locked(path):
        if identity(path) != known:
            return None
        draft = path.with_name(f".{path.name}.new")
        kept = _free_name(path)
        try:
            counts = _copy(path, draft, index)
            _exchange(path, draft, kept)
        except OSError as error:
            raise StorageError(f"{path} is damaged, and cannot be replaced: {error.strerror}.", "Make room.") from error
        finally:
            with suppress(OSError):
                draft.unlink()
    return f"{path} was damaged. {counts} could be read and are saved; the damaged file is kept as {kept.name}."


def _free_name(path: Path) -> Path:
    stem = f"{path.name}.damaged-{datetime.now().astimezone():%Y%m%d-%H%M%S}"
    names = (path.with_name(stem if number == 1 else f"{stem}-{number}") for number in range(1, 1000))
    return next(name for name in names if not name.exists())


def _copy(path: Path, draft: Path, index: Index) -> str:
    """A new file with what can be read of the old one; how much that is, in words."""
    with suppress(FileNotFoundError):
        draft.unlink()
    private_file(draft)
    with sqlite_errors(draft), closing(sqlite3.connect(draft, isolation_level=None)) as connection:
        migrations.prepare(connection)
        migrations.migrate(connection)
        connection.execute("BEGIN")
        _fill(connection, path)
        _entitle(connection)
        index.make(connection)
        for (turn,) in connection.execute("SELECT id FROM turns").fetchall():
            index.put_in(connection, turn)
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode = WAL")
        n_sessions = connection.execute("SELECT count(DISTINCT session) FROM turns").fetchone()[0]
        n_turns = connection.execute("SELECT count(*) FROM turns").fetchone()[0]
    messages, sessions = ("" if n == 1 else "s" for n in (n_turns, n_sessions))
    return f"{n_turns:,} message{messages} of {n_sessions:,} session{sessions}"


def _exchange(path: Path, draft: Path, kept: Path) -> None:
    """The log belongs to the old file, and what processes share of it must not meet the new one."""
    with suppress(FileNotFoundError):
        path.with_name(f"{path.name}-shm").unlink()
    with suppress(FileNotFoundError):
        path.with_name(f"{path.name}-wal").rename(kept.with_name(f"{kept.name}-wal"))
    try:
        os.link(path, kept)  # so that there is a file at every moment
    except OSError:
        path.rename(kept)
    draft.replace(path)


def _fill(connection: sqlite3.Connection, path: Path) -> None:
    for row in pages.rows(path):
        for sql, values in _meant(row):
            with suppress(sqlite3.IntegrityError):
                connection.execute(sql, values)
    for statement in _REPAIR.split(";"):
        connection.execute(statement)


def _entitle(connection: sqlite3.Connection) -> None:
    """Sessions of which only turns are left get their titles again."""
    first = "SELECT content FROM turns WHERE session = ? AND role = 'user' ORDER BY id LIMIT 1"
    for (session,) in connection.execute("SELECT id FROM sessions WHERE title = ?", (_LOST_TITLE,)).fetchall():
        row = connection.execute(first, (session,)).fetchone()
        if row and (title := title_of(row[0])):
            connection.execute("UPDATE sessions SET title = ? WHERE id = ?", (title, session))


def _meant(row: pages.Row) -> Iterator[tuple[str, tuple[Value, ...]]]:
    """How to write a row again, if it is one of ours: tables are told apart by their numbers of columns."""
    values = row.values
    if len(values) == _N_SESSION and _is_id(values[0]):
        yield _PUT_SESSION, _session(values)
    elif len(values) == _N_TURN and _is_id(values[1]) and values[3] in _ROLES and values[4] in _STATES:
        yield _PUT_TURN, _turn(row.number, values)
    elif len(values) == _N_SUMMARY and _is_id(values[1]):
        session, first, last, created, made, content = values[1:]
        yield _PUT_SUMMARY, (row.number, session, first, last, _moment(created), _json(made), _text(content))


def _session(values: tuple[Value, ...]) -> tuple[Value, ...]:
    name, title, created, updated, model, preset, system, one_shot, leaf, path = values
    moments = _moment(created), _moment(updated)
    settings = (_text_or_none(model), _text_or_none(preset), _text_or_none(system))
    return (
        name,
        _text(title) or _LOST_TITLE,
        *moments,
        *settings,
        int(one_shot == 1),
        _number(leaf),
        _text_or_none(path),
    )


def _turn(number: int, values: tuple[Value, ...]) -> tuple[Value, ...]:
    """Without token ids: wrong ones would be worse than none, which cost a second of reading the text again."""
    _, session, parent, role, state, generated, created, updated, n_tokens, pinned, *_, made, content = values
    state = State.INTERRUPTED if state == State.STREAMING else state
    head = (number, session, _number(parent), str(role), str(state), int(generated == 1))
    rest = (_moment(created), _moment(updated), _number(n_tokens), int(pinned == 1))
    return (*head, *rest, None, 0, None, None, _json(made), _text(content))


def _is_id(value: Value) -> bool:
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def _text(value: Value) -> str:
    return value if isinstance(value, str) else ""


def _text_or_none(value: Value) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: Value) -> int | None:
    return value if isinstance(value, int) else None


def _moment(value: Value) -> str:
    try:
        to_moment(_text(value))
    except ValueError:
        return _EPOCH
    return _text(value)


def _json(value: Value) -> str | None:
    try:
        json.loads(_text(value))
    except ValueError:
        return None
    return _text(value)
