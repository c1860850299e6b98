"""What is kept of a session: everything, in a tree, until it is removed."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from llamachat.chat.conversation import State
from llamachat.errors import StorageError, UsageError
from llamachat.store import ids
from llamachat.store.sessions import Store
from llamachat.types import AnswerTokens, Message, Role
from tests.store.conftest import answer, said, states, talk, user


def bytes_on_disk(path: Path) -> bytes:
    return b"".join(file.read_bytes() for file in path.parent.iterdir())


def test_a_session_comes_back_as_it_was(store, opened):
    session = store.create("Hello", model="parrot", preset="brief", system="Be brief.", one_shot=True).id
    question = store.add(session, None, user("Größe?\0 \N{LLAMA}"))
    reply = store.add(session, question, answer(""), State.STREAMING)
    message = Message(Role.ASSISTANT, "1 m", generated=True, tokens=AnswerTokens("v1", (7, 2**31 - 1)))
    store.finish(reply, message, State.LENGTH, {"seed": 7, "model": {"name": "parrot"}}, 3)
    store.set_pinned(question, pinned=True)
    store.summarise(question, reply, "It was about size.", {"seed": 1})
    store.close()

    transcript = opened().load(session)
    head = transcript.session
    assert (head.title, head.model, head.preset, head.system) == ("Hello", "parrot", "brief", "Be brief.")
    assert (head.one_shot, head.leaf, head.n_messages) == (True, reply, 2)
    first, last = transcript.branch
    assert (first.turn.message, first.pinned) == (user("Größe?\0 \N{LLAMA}"), True)
    assert (last.turn.message, last.turn.state, last.turn.parent) == (message, State.LENGTH, question)
    assert (last.made, last.n_tokens) == ({"seed": 7, "model": {"name": "parrot"}}, 3)
    (summary,) = transcript.summaries
    assert (summary.first, summary.last, summary.content) == (question, reply, "It was about size.")


def test_asking_again_makes_a_sibling_and_undo_is_a_move(store):
    session = talk(store, "one?", "1", "two?", "2")
    turns = store.load(session).branch
    other = store.add(session, turns[2].turn.number, answer("zwei"))
    assert said(store, session) == ["one?", "1", "two?", "zwei"]
    store.move(session, turns[1].turn.number)
    assert said(store, session) == ["one?", "1"]
    store.move(session, None)
    assert said(store, session) == []
    store.move(session, other)
    conversation = store.load(session).conversation()
    conversation.move(turns[3].turn.number)
    assert [turn.message.content for turn in conversation.turns] == ["one?", "1", "two?", "2"]
    conversation.add(user("three?"))
    assert conversation.leaf > other


def test_a_turn_that_came_to_nothing_is_taken_back_unless_others_follow_it(store):
    session = talk(store, "one?")
    nothing = store.add(session, store.load(session).session.leaf, answer(""), State.STREAMING)
    store.take_back(nothing)
    assert said(store, session) == ["one?"]
    first = store.load(session).session.leaf
    store.add(session, first, answer("1"))
    store.take_back(first)
    assert said(store, session) == ["one?", "1"]


def test_half_a_character_does_not_stop_anything(store):
    session = talk(store, "a \udcff b", "\ud83e")
    assert said(store, session) == ["a ? b", "?"]


def test_the_newest_come_first_and_empty_ones_are_not_listed(path, opened):
    now = datetime(2026, 1, 1, tzinfo=UTC)
    store = opened(clock=lambda: now)
    older = talk(store, "older")
    now += timedelta(minutes=1)
    newer = talk(store, "newer")
    now += timedelta(minutes=1)
    one_shot = talk(store, "one-shot", one_shot=True)
    store.create("empty")
    assert [session.id for session in store.sessions()] == [one_shot, newer, older]
    assert [session.id for session in store.sessions(1)] == [one_shot]
    assert store.latest().id == newer
    now += timedelta(minutes=1)
    store.add(older, store.load(older).session.leaf, answer("again"))
    assert store.latest().id == older
    assert store.sessions()[0].n_messages == 2
    assert [session.id for session in store.older_than(timedelta(minutes=1, seconds=30))] == [newer]


def test_without_sessions_there_is_no_latest(store):
    store.create("empty")
    talk(store, "one-shot", one_shot=True)
    assert store.latest() is None


def test_an_id_sorts_by_time_and_its_beginning_is_enough(opened):
    now = datetime(2026, 1, 1, tzinfo=UTC)
    store = opened(clock=lambda: now)
    first = talk(store, "first")
    now += timedelta(hours=1)
    second = talk(store, "second")
    assert first < second
    assert len(first) == 12
    assert store.find(second[:6].upper()).title == "second"
    with pytest.raises(UsageError, match=r"2 sessions begin with.*first.*") as caught:
        store.find(first[:3])
    assert second in str(caught.value)
    for typed in ("", "zzzz", "%", "' OR 1"):
        with pytest.raises(UsageError, match="sessions list"):
            store.find(typed)


def test_letters_that_look_like_digits_are_taken_for_them():
    assert ids.normal(" 1OIl0Z ") == "10110z"


def test_ids_of_one_moment_differ():
    now = datetime.now(UTC)
    assert len({ids.fresh(now) for _ in range(100)}) > 90


def test_a_title_can_be_changed_and_a_session_goes_on_with_another_model(store):
    session = talk(store, "one?", model="a", system="s")
    store.rename(session, "Counting")
    store.reframe(session, model="b", preset="p", system=None)
    head = store.find(session)
    assert (head.title, head.model, head.preset, head.system) == ("Counting", "b", "p", None)


def test_what_is_removed_is_not_on_the_disk_and_the_rest_is(store, path):
    secret = talk(store, "xyzzysecret " * 3000, "plughsecret 라마비밀", system="frobozzsecret")
    store.summarise(*(entry.turn.number for entry in store.load(secret).branch), "quuxsecret")
    kept = talk(store, "the xyzzypublic question", "plughpublic")
    on_disk = bytes_on_disk(path)
    assert all(word in on_disk for word in (b"xyzzysecret", b"plughsecret", b"frobozzsecret", b"quuxsecret"))
    store.remove([secret])
    on_disk = bytes_on_disk(path)  # while it is open
    assert b"secret" not in on_disk
    assert "비밀".encode() not in on_disk
    assert b"plughpublic" in on_disk
    assert store.search("plughsecret") == []
    assert [hit.session for hit in store.search("xyzzypublic")] == [kept]
    with pytest.raises(UsageError):
        store.load(secret)


def test_what_was_removed_elsewhere_is_said_and_not_made_again(store, opened):
    session = talk(store, "one?")
    other = opened()
    leaf = other.load(session).session.leaf
    store.remove([session])
    for write in (
        lambda: other.add(session, leaf, answer("1")),
        lambda: other.add(session, None, user("1")),
        lambda: other.move(session, None),
        lambda: other.grow(leaf, "1"),
        lambda: other.finish(leaf, answer("1"), State.COMPLETE),
        lambda: other.rename(session, "x"),
    ):
        with pytest.raises(StorageError, match="removed"):
            write()
    assert other.sessions() == []


def test_a_turn_cannot_follow_one_of_another_session(store):
    one, two = talk(store, "one?"), talk(store, "two?")
    with pytest.raises(StorageError):
        store.add(one, store.load(two).session.leaf, answer("1"))
    with pytest.raises(StorageError):
        store.move(one, store.load(two).session.leaf)
    assert said(store, one) == ["one?"]


def test_a_transcript_is_taken_in_as_a_session_of_its_own(store):
    session = talk(store, "one?", "1", "two?", "2")
    talk(store, "another")
    (copy,) = store.take_in([store.load(session)])
    assert copy.id != session
    assert copy.title == "one?"
    assert said(store, copy.id) == said(store, session)
    numbers = {entry.turn.number for entry in store.load(copy.id).entries}
    assert numbers.isdisjoint(entry.turn.number for entry in store.load(session).entries)
    assert {hit.session for hit in store.search("two")} == {session, copy.id}


@pytest.mark.skipif(os.name != "posix", reason="Windows has no file modes like 0600 to look at")
def test_only_the_owner_can_read_what_was_said(store, path):
    path.chmod(0o644)
    store.close()
    with Store(path) as again:
        session = talk(again, "one?")
        again.add(session, None, answer(""), State.STREAMING)
        assert len(list(path.parent.iterdir())) == 5  # with the log, what processes share, and two locks
        assert {file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {0o600}
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_session_in_memory_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Store(None) as store:
        session = talk(store, "one?")
        reply = store.add(session, store.load(session).session.leaf, answer(""), State.STREAMING)
        store.grow(reply, "1")
        assert states(store, session) == [State.COMPLETE, State.STREAMING]
        assert [hit.turn for hit in store.search("one")] == [1]
    assert list(tmp_path.iterdir()) == []
