"""Disks that are full or read-only, files that are locked, newer, or not ours: one line each, and nothing lost."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from llamachat.chat.conversation import Conversation, State
from llamachat.chat.keeping import Head
from llamachat.errors import ExitCode, StorageError
from llamachat.store.journal import Journal
from llamachat.store.migrations import LATEST
from llamachat.store.sessions import Store
from tests.store.conftest import answer, said, states, talk, user


def mount(*arguments: str) -> bool:
    return subprocess.run(["mount", *arguments], capture_output=True, check=False).returncode == 0


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A file system of one mebibyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.name != "posix" or os.geteuid() or not mount("-t", "tmpfs", "-o", "size=1m", "llamachat", str(disk)):
        pytest.skip("only root can mount a small disk")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


@contextlib.contextmanager
def read_only(disk: Path) -> Iterator[None]:
    assert mount("-o", "remount,ro", str(disk))
    yield
    assert mount("-o", "remount,rw", str(disk))


@contextlib.contextmanager
def filled(disk: Path) -> Iterator[None]:
    """Not a byte is free."""
    with contextlib.suppress(OSError), (disk / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    yield
    (disk / "filler").unlink()


def is_one_line(error: StorageError, words: str) -> bool:
    return error.code is ExitCode.STORAGE and words in error.message and "\n" not in str(error) and bool(error.hint)


def test_a_full_disk_is_said_and_what_was_there_stays(small_disk):
    with Store(small_disk / "sessions.db") as store:
        session = talk(store, "one?", "1")
        with filled(small_disk), pytest.raises(StorageError) as caught:
            talk(store, "two? " * 100_000)
        assert is_one_line(caught.value, "the disk is full")
        assert said(store, session) == ["one?", "1"]
        talk(store, "three?")


def test_a_full_disk_at_the_start_is_said(small_disk):
    with filled(small_disk), pytest.raises(StorageError) as caught:
        Store(small_disk / "sessions.db")
    assert is_one_line(caught.value, "full")


def test_a_read_only_disk_can_be_read(small_disk):
    path = small_disk / "sessions.db"
    with Store(path) as store:
        session = talk(store, "one?", "1")
    with read_only(small_disk), Store(path) as store:
        assert said(store, session) == ["one?", "1"]
        assert len(store.search("one")) == 1
        with pytest.raises(StorageError) as caught:
            talk(store, "two?")
        assert is_one_line(caught.value, "read-only")
        with pytest.raises(StorageError):
            store.add(session, None, answer(""), State.STREAMING)
    with Store(path) as store:
        assert len(store.sessions()) == 1


def test_a_read_only_disk_without_a_file_is_said(small_disk):
    with read_only(small_disk), pytest.raises(StorageError) as caught:
        Store(small_disk / "sessions.db")
    assert is_one_line(caught.value, "read-only")


def test_a_chat_goes_on_without_a_disk_and_is_written_when_it_can_be(small_disk):
    path = small_disk / "sessions.db"
    stores: list[Store] = []

    def open_store() -> Store:
        stores.append(Store(path))
        return stores[-1]

    journal, conversation = Journal(open_store), Conversation()
    journal.begin(Head("one?"))
    with read_only(small_disk):
        converse(journal, conversation, "one?", "1")
        assert "read-only" in journal.trouble
        assert journal.session is None
    converse(journal, conversation, "two?", "2")
    assert journal.trouble is None
    with filled(small_disk):
        converse(journal, conversation, "three? " * 50_000, "3")
        assert "full" in journal.trouble
        journal.catch_up()
        assert journal.trouble
    converse(journal, conversation, "four?", "4")
    assert said(stores[0], journal.session)[-3:] == ["3", "four?", "4"]
    assert len(said(stores[0], journal.session)) == 8
    assert states(stores[0], journal.session) == [State.COMPLETE] * 8
    stores[0].close()


def converse(journal: Journal, conversation: Conversation, question: str, reply: str) -> None:
    conversation.add(user(question))
    journal.added(conversation.last)
    conversation.add(answer(""), State.STREAMING)
    journal.added(conversation.last)
    conversation.grow_answer(reply)
    journal.grew(conversation.last)
    conversation.end_answer(answer(reply), State.COMPLETE)
    journal.ended(conversation.last)


def test_a_file_that_another_holds_is_said(path, opened):
    store, other = opened(), opened(patience=0.05)
    session = talk(store, "one?")
    reply = other.add(session, other.load(session).session.leaf, answer(""), State.STREAMING)
    with store._db.writing():
        done: list[StorageError] = []

        def write() -> None:
            other.grow(reply, "left out")
            with pytest.raises(StorageError) as caught:
                talk(other, "two?")
            done.append(caught.value)

        thread = threading.Thread(target=write)
        thread.start()
        thread.join(20)
    assert is_one_line(done[0], "held by another process")
    other.grow(reply, "not left out")
    assert said(store, session)[-1] == "not left out"


def test_a_newer_schema_is_named_and_not_touched(path):
    with Store(path) as store:
        talk(store, "one?")
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StorageError) as caught:
        Store(path)
    assert is_one_line(caught.value, f"schema 99; this one knows {LATEST}")
    assert "pgrade" in caught.value.hint
    assert path.read_bytes() == before
    assert not list(path.parent.glob("*damaged*"))


def test_a_newer_schema_that_is_only_in_the_log_is_named_too(path):
    with Store(path) as store:
        talk(store, "one?")
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA user_version = 99")
        with pytest.raises(StorageError, match="schema 99"):
            Store(path)
        connection.close()


def test_another_programs_database_is_left_alone(path):
    path.parent.mkdir()
    connection = sqlite3.connect(path)
    connection.executescript("CREATE TABLE theirs (x); PRAGMA user_version = 1;")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StorageError, match="another program's database"):
        Store(path)
    assert path.read_bytes() == before


def test_a_folder_in_its_place_is_said(path):
    path.mkdir(parents=True)
    with pytest.raises(StorageError) as caught:
        Store(path)
    assert is_one_line(caught.value, str(path))


def test_a_strict_journal_raises_and_keeps_what_it_could_not_write(tmp_path):
    path = tmp_path / "sessions.db"
    path.mkdir()
    journal, conversation = Journal(lambda: Store(path), strict=True), Conversation()
    journal.begin(Head("one?"))
    conversation.add(user("one?"))
    with pytest.raises(StorageError):
        journal.added(conversation.last)
    path.rmdir()
    journal.catch_up()
    with Store(path) as store:
        assert said(store, journal.session) == ["one?"]
