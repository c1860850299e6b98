"""Disks that are full or read-only, files that are locked, newer, or not ours: one line each, and nothing lost."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import sys
import threading
import time

import pytest

from llamachat.chat.conversation import Conversation, State
from llamachat.chat.keeping import Head
from llamachat.errors import ExitCode, StorageError
from llamachat.store.journal import Journal
from llamachat.store.migrations import LATEST
from llamachat.store.retries import Retries
from llamachat.store.sessions import Store
from tests.disks import fill, filled, read_only
from tests.store.conftest import answer, said, states, talk, user


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
        converse(journal, conversation, "three? " * 20_000, "3")
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


def test_a_disk_that_fills_up_does_not_cut_the_answer_of_a_one_shot(small_disk):
    now = [0.0]
    with Store(small_disk / "sessions.db") as store:
        journal = Journal(lambda: store, strict=True, clock=lambda: now[0])
        journal.begin(Head("one?"))
        conversation = Conversation(None, journal)
        conversation.add(user("one?"))
        conversation.add(answer(""), State.STREAMING)
        fill(small_disk)
        text = "words " * 100_000
        now[0] += 1
        conversation.grow_answer(text)
        assert "full" in journal.trouble
        with pytest.raises(StorageError):
            conversation.end_answer(answer(text), State.COMPLETE)


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


@pytest.mark.skipif(sys.platform == "win32", reason="the test makes a named pipe, which Windows lacks")
def test_a_pipe_in_its_place_is_said(path):
    path.parent.mkdir()
    os.mkfifo(path)
    with pytest.raises(StorageError) as caught:
        Store(path)
    assert is_one_line(caught.value, "is not a file")


def test_a_chat_does_not_wait_twice_for_a_program_that_holds_the_file(path, opened):
    store, holder = opened(patience=1.0), sqlite3.connect(path, isolation_level=None)
    journal, conversation = Journal(lambda: store), Conversation()
    journal.begin(Head("one?"))
    converse(journal, conversation, "one?", "1")
    holder.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    for number in range(3):
        converse(journal, conversation, f"held {number}?", "yes")
    assert 1.0 < time.monotonic() - began < 3.0  # one wait, and eight short ones
    assert "held by another process" in journal.trouble
    holder.execute("ROLLBACK")
    converse(journal, conversation, "and?", "on")
    assert journal.trouble is None
    assert said(store, journal.session) == [
        "one?",
        "1",
        *["held 0?", "yes", "held 1?", "yes", "held 2?", "yes"],
        "and?",
        "on",
    ]
    holder.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    converse(journal, conversation, "again?", "yes")
    assert time.monotonic() - began > 1.0  # it was free in between
    holder.close()


def test_what_waits_is_written_when_the_file_is_free_though_nothing_more_is_said(path, opened):
    store, holder, saved = opened(patience=0.05), sqlite3.connect(path, isolation_level=None), threading.Event()
    retries = Retries(saved.set, seconds=0.05)
    journal, conversation = Journal(lambda: store, on_trouble=retries.watch), Conversation()
    journal.begin(Head("one?"))
    holder.execute("BEGIN IMMEDIATE")
    converse(journal, conversation, "one?", "1")
    assert journal.trouble
    holder.execute("ROLLBACK")
    assert saved.wait(20)
    assert said(store, journal.session) == ["one?", "1"]
    assert retries.close() == []
    holder.close()


def test_what_can_never_be_written_is_known_at_the_end(small_disk):
    retries = Retries(lambda: None, seconds=0.05)
    journal, conversation = Journal(lambda: Store(small_disk / "sessions.db"), on_trouble=retries.watch), Conversation()
    journal.begin(Head("one?"))
    with read_only(small_disk):
        converse(journal, conversation, "one?", "1")
        assert retries.close() == [journal]
    assert "read-only" in journal.trouble


def test_a_full_disk_can_be_read_and_sessions_removed_from_it(small_disk):
    path, lines = small_disk / "sessions.db", []
    with Store(path) as store:
        kept = talk(store, "a question that stays", "an answer that stays")
        gone = [talk(store, f"secret {number} " * 50, f"confidential {number} " * 300) for number in range(20)]
    size = path.stat().st_size
    fill(small_disk)
    with Store(path, say=lines.append) as store:
        assert said(store, kept) == ["a question that stays", "an answer that stays"]
        store.remove(gone)
        assert [session.id for session in store.sessions()] == [kept]
        assert path.stat().st_size < size
        assert lines == []
        everything = b"".join(each.read_bytes() for each in small_disk.iterdir() if each.name != "filler")
        assert b"confidential" not in everything
        assert b"secret" not in everything
        session = talk(store, "and on?")  # into the room that was made
        assert said(store, session) == ["and on?"]
        assert len(store.search("stays")) == 2
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_an_index_that_finds_no_room_on_a_full_disk_is_said_and_purged_later(small_disk):
    path, lines = small_disk / "sessions.db", []
    with Store(path) as store:
        first, *others = [talk(store, f"question {number} " * 20, f"answer {number} " * 200) for number in range(20)]
        small = talk(store, "zebedee")
    filler = fill(small_disk)
    with Store(path, say=lines.append) as store:
        store.remove([small])
        assert len(lines) == 1
        assert "until a removal finds room" in lines[0]
        assert store.search("zebedee") == []
        assert len(store.sessions()) == 1 + len(others)
    filler.unlink()
    with Store(path) as store:
        store.remove([first])
    assert b"zebedee" not in path.read_bytes()


def test_on_a_full_disk_that_another_uses_it_is_said_what_helps(small_disk):
    path = small_disk / "sessions.db"
    with Store(path) as store, Store(path) as other:
        session = talk(store, "one?", "1")
        other.sessions()
        fill(small_disk)
        with pytest.raises(StorageError) as caught:
            store.remove([session])
        assert is_one_line(caught.value, "the disk is full")
        assert "every other llamachat" in caught.value.hint
        assert said(store, session) == ["one?", "1"]


def test_removal_gives_the_room_back(path, opened):
    store = opened()
    sessions = [talk(store, f"question {number} " * 100, "answer " * 1000) for number in range(20)]
    store.remove(sessions[:1])
    before = path.stat().st_size
    store.remove(sessions[1:])
    assert path.stat().st_size < before / 2


def test_conversations_from_elsewhere_come_in_all_or_not_at_all(small_disk):
    with Store(small_disk / "sessions.db") as store:
        transcript = store.load(talk(store, "one?", "1"))
        huge = store.load(talk(store, " ".join(f"word{number}" for number in range(40_000))))
    with Store(small_disk / "sessions.db") as store:
        before = [session.id for session in store.sessions()]
        fill(small_disk)
        with pytest.raises(StorageError):
            store.take_in([transcript, huge])
        assert [session.id for session in store.sessions()] == before


def test_a_log_whose_beginning_is_damaged_loses_no_exchange_that_had_ended(path, tmp_path):
    store = Store(path)
    session = talk(store, "one?")
    for number in range(5):
        reply = store.add(session, store.load(session).session.leaf, answer(""), State.STREAMING)
        store.finish(reply, answer(f"answer {number}"), State.COMPLETE)
        store.add(session, reply, user(f"question {number}?"))
    reply = store.add(session, store.load(session).session.leaf, answer(""), State.STREAMING)
    store.finish(reply, answer("the last"), State.COMPLETE)
    before = said(store, session)
    for name in ("sessions.db", "sessions.db-wal"):  # as after kill -9
        (tmp_path / name).write_bytes(path.with_name(name).read_bytes())
    store.close()
    log = tmp_path / "sessions.db-wal"
    data = bytearray(log.read_bytes())
    assert len(data) > 4096
    data[32:4096] = random.Random(1).randbytes(4064)
    log.write_bytes(data)
    with Store(tmp_path / "sessions.db") as store:
        assert said(store, session) == before


def test_a_file_that_was_deleted_meanwhile_is_no_damage(path):
    lines: list[str] = []
    with Store(path, say=lines.append) as store:
        journal, conversation = Journal(lambda: store), Conversation()
        journal.begin(Head("one?"))
        converse(journal, conversation, "one?", "1")
        shutil.rmtree(path.parent)
        assert store.search("one") == []
        converse(journal, conversation, "two?", "2")
        assert journal.trouble is None
        assert said(store, journal.session) == ["two?", "2"]
        assert len(store.search("two")) == 1
    assert lines == []
