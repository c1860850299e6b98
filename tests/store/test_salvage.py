"""A damaged file is kept, and what can be read of it is in the new one."""

from __future__ import annotations

import random
import re
import sqlite3
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamachat.chat.conversation import State
from llamachat.errors import StorageError, UsageError
from llamachat.store.sessions import Store
from tests.store.conftest import answer, said, states, talk, user

PAGE = 4096


def kept(path: Path) -> list[Path]:
    return [file for file in path.parent.iterdir() if re.search(r"\.damaged-\d{8}-\d{6}(-\d+)?$", file.name)]


def is_intact(path: Path) -> bool:
    connection = sqlite3.connect(path)
    try:
        connection.execute("INSERT INTO words (words) VALUES ('integrity-check')")
        return (
            connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            and not connection.execute("PRAGMA foreign_key_check").fetchall()
        )
    finally:
        connection.close()


def overwrite(path: Path, page: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(page * PAGE)
        file.write(data)


def marked(name: str, n_marks: int) -> str:
    """A text that says whose it is at every place, so that its pages can be found in the file."""
    return " ".join(f"<{name}>" for _ in range(n_marks))


def everything(store: Store) -> set[str]:
    """Every message that can be reached. Mending on the way may find that nothing is left of a session."""
    texts: set[str] = set()
    for session in store.sessions():
        with suppress(UsageError):
            texts |= {entry.turn.message.content for entry in store.load(session.id).entries}
    return texts


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    """A database of 40 sessions, some of whose messages fill several pages."""
    path = tmp_path_factory.mktemp("sound") / "sessions.db"
    with Store(path) as store:
        for index in range(40):
            names = [f"s{index:02}t{place}" for place in range(6)]
            talk(
                store, *(marked(name, 3 + 400 * (int(name[1:3]) * place % 5 == 1)) for place, name in enumerate(names))
            )
    return path


def rows_of(file: bytes) -> dict[str, str]:
    """Every message in a sound file, by the name that it is marked with."""
    connection = sqlite3.connect(":memory:")
    connection.deserialize(file[:18] + b"\1\1" + file[20:])  # as if it were without a log: none can be in memory
    found = {text[1 : text.index(">")]: text for (text,) in connection.execute("SELECT content FROM turns")}
    connection.close()
    return found


def pages_of(file: bytes, name: str) -> set[int]:
    return {at.start() // PAGE for at in re.finditer(f"<{name}>".encode(), file)}


def damage(path: Path, page: int, chance: random.Random) -> None:
    noise = chance.randbytes(PAGE)
    match chance.randrange(4):
        case 0:
            overwrite(path, page, noise)
        case 1:
            overwrite(path, page, bytes(PAGE))
        case 2:
            overwrite(path, page, b"\x0d" + noise[1:])  # what says that it holds rows
        case _:
            content = bytearray(path.read_bytes()[page * PAGE : (page + 1) * PAGE])
            content[(at := chance.randrange(PAGE - 64)) : at + 64] = noise[:64]
            overwrite(path, page, bytes(content))


def is_read_as_anothers(file: bytes) -> bool:
    """A header whose magic survived and whose names of program or version did not: it could be anybody's."""
    return file[:16] == b"SQLite format 3\0" and file[60:64] + file[68:72] != b"\0\0\0\1llma" and any(file[60:64])


@given(seed=st.integers(0, 2**32), n_pages=st.integers(1, 12))
@settings(max_examples=40, deadline=None)
def test_whatever_happens_to_some_pages_every_message_on_the_others_is_saved(sound, tmp_path_factory, seed, n_pages):
    path = tmp_path_factory.mktemp("damaged") / "sessions.db"
    file = sound.read_bytes()
    path.write_bytes(file)
    chance = random.Random(seed)
    broken = set(chance.sample(range(len(file) // PAGE), n_pages))
    for page in broken:
        damage(path, page, chance)
    if is_read_as_anothers(path.read_bytes()):
        before = path.read_bytes()
        with pytest.raises(StorageError):
            Store(path)
        assert path.read_bytes() == before
        return
    said_of_it: list[str] = []
    with Store(path, say=said_of_it.append) as store:
        everything(store)
        store.search("s01t1")
        talk(store, "a new one", "goes on")
        saved = everything(store)
    if said_of_it:
        assert is_intact(path)
        assert len(kept(path)) == len(said_of_it)
        for name, text in rows_of(file).items():
            if not pages_of(file, name) & broken:
                assert text in saved


def test_a_damaged_page_in_the_middle_costs_what_was_on_it(path):
    with Store(path) as store:
        for index in range(100):
            talk(store, marked(f"q{index}", 30), marked(f"a{index}", 30))
    file = path.read_bytes()
    (page,) = pages_of(file, "a50")
    overwrite(path, page, b"\xff" * PAGE)
    lines: list[str] = []
    with Store(path, say=lines.append) as store:
        texts = everything(store)
        assert len(store.search("q51 OR", 5)) <= 1
    (line,) = lines
    assert re.search(r"1[89]\d messages of 9\d sessions could be read.*sessions\.db\.damaged-", line)
    assert "\n" not in line
    assert 180 <= len(texts) < 200
    assert marked("a50", 30) not in texts
    (old,) = kept(path)
    assert old.read_bytes()[page * PAGE : (page + 1) * PAGE] == b"\xff" * PAGE
    assert is_intact(path)


@pytest.mark.parametrize("damage", [lambda file: b"garbage " * 999, lambda file: file[:50], lambda file: b"\0" * 9000])
def test_a_file_that_is_none_is_kept_and_a_new_one_begun(path, damage):
    with Store(path) as store:
        talk(store, "one?", "1")
    path.write_bytes(damage(path.read_bytes()))
    damaged = path.read_bytes()
    lines: list[str] = []
    with Store(path, say=lines.append) as store:
        assert store.sessions() == []
        talk(store, "two?")
    assert len(lines) == 1
    assert [file.read_bytes() for file in kept(path)] == [damaged]


def test_a_file_cut_short_gives_what_is_left_of_it(path):
    with Store(path) as store:
        for index in range(50):
            talk(store, marked(f"q{index}", 100), marked(f"a{index}", 100))
    file = path.read_bytes()
    path.write_bytes(file[: len(file) // 2])
    lines: list[str] = []
    with Store(path, say=lines.append) as store:
        n_messages = sum(session.n_messages for session in store.sessions())
    assert 20 < n_messages < 100
    assert len(lines) == 1


def test_an_empty_file_is_a_new_one(path):
    path.parent.mkdir()
    path.touch()
    with Store(path) as store:
        talk(store, "one?")
        assert len(store.sessions()) == 1
    assert kept(path) == []


def test_what_is_only_in_the_log_is_saved_too(path, tmp_path):
    store = Store(path)
    talk(store, "one?", "in the log")
    for name in ("sessions.db", "sessions.db-wal"):  # as after kill -9
        (tmp_path / name).write_bytes(path.with_name(name).read_bytes())
    store.close()
    overwrite(tmp_path / "sessions.db", 0, bytes(PAGE))
    lines: list[str] = []
    with Store(tmp_path / "sessions.db", say=lines.append) as store:
        (session,) = store.sessions()
        assert said(store, session.id) == ["one?", "in the log"]
    assert "2 messages of 1 session could" in lines[0]


def test_damage_found_while_it_is_open_is_mended_at_once(path):
    lines: list[str] = []
    with Store(path) as store:
        sessions = [talk(store, marked(f"q{index}", 20), marked(f"a{index}", 100)) for index in range(50)]
    with Store(path, say=lines.append) as store:
        leaf = store.load(sessions[0]).session.leaf
        for page in pages_of(path.read_bytes(), "a30"):
            overwrite(path, page, b"\xff" * PAGE)
        everything(store)
        assert len(lines) == 1
        store.add(sessions[0], leaf, user("more?"))
        assert said(store, sessions[0])[-1] == "more?"
    assert is_intact(path)


def test_another_process_follows_to_the_new_file(path):
    lines: list[str] = []
    with Store(path) as store:
        session = talk(store, marked("q", 100), marked("a", 100))
    with Store(path) as other:
        leaf = other.load(session).session.leaf
        overwrite(path, 0, b"x" * 100)
        with Store(path, say=lines.append):
            pass
        assert len(lines) == 1
        other.add(session, leaf, user("more?"))
        other.search("more")
    with Store(path) as store:
        assert said(store, session)[-1] == "more?"
    assert is_intact(path)


def test_a_turn_whose_parent_is_lost_stays_in_its_place(path):
    with Store(path) as store:
        session = talk(store, "one?", "1", "two?", "2", "three?")
    connection = sqlite3.connect(path)
    connection.execute("DELETE FROM turns WHERE content = '2'")  # without a look at what follows it
    connection.commit()
    connection.close()
    lines: list[str] = []
    with Store(path, say=lines.append) as store:
        assert said(store, session) == ["one?", "1", "three?"]
    assert len(lines) == 1


def test_turns_without_their_session_get_one_and_an_answer_under_way_is_interrupted(path):
    with Store(path) as store:
        session = talk(store, "Why?", "Because", model="parrot")
        leaf = store.load(session).session.leaf
        streaming = store.add(session, store.add(session, leaf, user("and?")), answer("then"), State.STREAMING)
        store.set_pinned(streaming, pinned=True)
    connection = sqlite3.connect(path)
    connection.execute("DELETE FROM sessions")
    connection.commit()
    connection.close()
    overwrite(path, 0, b"x" * 16)
    with Store(path) as store:
        assert store.find(session).title == "Why?"
        assert states(store, session)[-1] is State.INTERRUPTED
        assert [hit.session for hit in store.search("because")] == [session]


def test_a_removed_session_does_not_come_back(path):
    with Store(path) as store:
        for index in range(20):
            talk(store, marked(f"q{index}", 300), marked(f"a{index}", 30))
        store.remove([session.id for session in store.sessions()][::2])
        left = {session.title for session in store.sessions()}
    overwrite(path, 0, b"x" * 16)
    with Store(path) as store:
        assert {session.title for session in store.sessions()} == left


def test_no_room_for_the_new_file_leaves_the_old_one(path):
    with Store(path) as store:
        talk(store, "one?")
    overwrite(path, 0, b"x" * 16)
    damaged = path.read_bytes()
    path.with_name(".sessions.db.new").mkdir()  # in the way
    with pytest.raises(StorageError, match="damaged"):
        Store(path)
    assert path.read_bytes() == damaged
    assert kept(path) == []
