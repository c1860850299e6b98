"""How a database is, told without touching it."""

from __future__ import annotations

import os
import sqlite3
import sys

import pytest

from llamachat.errors import StorageError
from llamachat.store import health, migrations
from llamachat.store.faults import Damaged
from llamachat.store.sessions import Store
from llamachat.types import Message, Role


@pytest.fixture
def database(tmp_path):
    """One session with 200 messages, in pages enough to damage one."""
    path = tmp_path / "sessions.db"
    with Store(path) as store:
        session, parent = store.create("a chat").id, None
        for number in range(200):
            role = Role.USER if number % 2 == 0 else Role.ASSISTANT
            parent = store.add(session, parent, Message(role, f"message {number} " * 20))
    return path


def change(path, statement: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(statement)
    connection.close()


def test_a_sound_one_is_counted(database):
    found = health.look(database)
    assert found is not None
    assert (found.n_sessions, found.n_turns) == (1, 200)
    assert found.n_bytes >= database.stat().st_size


def test_what_another_process_has_not_yet_written_into_the_file_counts(tmp_path):
    path = tmp_path / "sessions.db"
    with Store(path) as store:
        store.add(store.create("a chat").id, None, Message(Role.USER, "hello"))
        found = health.look(path)
    assert found is not None
    assert found.n_turns == 1


def test_where_there_is_none_nothing_is_made(tmp_path):
    assert health.look(tmp_path / "no" / "sessions.db") is None
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_one_is_told_and_left_as_it_is(database):
    change(database, "PRAGMA wal_checkpoint(TRUNCATE)")
    data = bytearray(database.read_bytes())
    data[3 * 4096 : 6 * 4096] = os.urandom(3 * 4096)
    database.write_bytes(data)
    with pytest.raises(Damaged):
        health.look(database)
    assert database.read_bytes() == bytes(data)
    assert health.damaged_copies(database) == []


def test_one_of_a_newer_llamachat_is_told(database):
    change(database, f"PRAGMA user_version = {migrations.LATEST + 1}")
    with pytest.raises(StorageError, match="newer llamachat"):
        health.look(database)


def test_another_programs_database_is_told(tmp_path):
    path = tmp_path / "sessions.db"
    change(path, "CREATE TABLE theirs (x)")
    change(path, "PRAGMA user_version = 3")
    with pytest.raises(StorageError, match="another program's"):
        health.look(path)


@pytest.mark.skipif(sys.platform == "win32", reason="the test makes a named pipe, which Windows lacks")
def test_a_pipe_in_its_place_is_told(tmp_path):
    path = tmp_path / "sessions.db"
    os.mkfifo(path)
    with pytest.raises(StorageError, match="is not a file"):
        health.look(path)


def test_copies_that_were_kept_are_found_without_their_logs(database):
    for name in ("sessions.db.damaged-20260101-000000", "sessions.db.damaged-20260101-000000-wal"):
        database.with_name(name).write_bytes(b"x")
    assert [copy.name for copy in health.damaged_copies(database)] == ["sessions.db.damaged-20260101-000000"]
