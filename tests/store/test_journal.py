"""A conversation that is written down while it happens."""

from __future__ import annotations

import pytest

from llamachat.chat.conversation import Conversation, State
from llamachat.chat.keeping import Head
from llamachat.store.journal import Journal
from llamachat.store.sessions import Store
from tests.store.conftest import answer, said, states, user


@pytest.fixture
def now() -> list[float]:
    return [0.0]


@pytest.fixture
def journal(store, now) -> Journal:
    journal = Journal(lambda: store, clock=lambda: now[0])
    journal.begin(Head("one?", model="parrot", system="Be brief.", one_shot=True))
    return journal


@pytest.fixture
def conversation(journal) -> Conversation:
    """A question, and an answer that has begun."""
    conversation = Conversation("Be brief.")
    conversation.add(user("one?"))
    journal.added(conversation.last)
    conversation.add(answer(""), State.STREAMING)
    journal.added(conversation.last)
    return conversation


def test_there_is_no_session_before_something_is_said(store):
    journal = Journal(lambda: store)
    journal.begin(Head("one?"))
    assert journal.session is None


def test_the_session_has_its_head(store, journal, conversation):
    head = store.find(journal.session)
    assert (head.title, head.model, head.system, head.one_shot) == ("one?", "parrot", "Be brief.", True)


def test_a_growing_answer_is_written_four_times_a_second(store, journal, conversation, now):
    seen = []
    for _ in range(9):
        now[0] += 0.125
        conversation.grow_answer("x")
        journal.grew(conversation.last)
        seen.append(len(said(store, journal.session)[-1]))
    assert seen == [0, 2, 2, 4, 4, 6, 6, 8, 8]
    assert states(store, journal.session)[-1] is State.STREAMING
    conversation.end_answer(answer("done"), State.LENGTH)
    journal.ended(conversation.last, {"seed": 1}, 9)
    last = store.load(journal.session).branch[-1]
    assert (last.turn.message.content, last.turn.state, last.made, last.n_tokens) == (
        "done",
        State.LENGTH,
        {"seed": 1},
        9,
    )


def test_an_answer_is_taken_up_again(store, journal, conversation, now):
    conversation.end_answer(answer("a"), State.INTERRUPTED)
    journal.ended(conversation.last)
    conversation.end_answer(answer("a"), State.STREAMING)
    journal.reopened(conversation.last)
    assert states(store, journal.session)[-1] is State.STREAMING
    conversation.end_answer(answer("a and b"), State.COMPLETE)
    journal.ended(conversation.last)
    assert said(store, journal.session) == ["one?", "a and b"]


def test_what_else_changes_is_written_in_its_numbers(store, journal, conversation):
    conversation.end_answer(answer("1"), State.COMPLETE)
    journal.ended(conversation.last)
    question, reply = (turn.number for turn in conversation.turns)
    journal.renamed("Numbers")
    journal.reframed(model="other", preset="brief", system=None)
    journal.pinned(question, pinned=True)
    journal.summarised(question, reply, "One.")
    journal.moved(question)
    transcript = store.load(journal.session)
    assert (transcript.session.title, transcript.session.model, transcript.session.preset) == (
        "Numbers",
        "other",
        "brief",
    )
    assert [entry.pinned for entry in transcript.entries] == [True, False]
    assert transcript.summaries[0].last == journal.number(reply)
    assert transcript.session.leaf == journal.number(question)


def test_the_store_is_opened_when_there_is_something_to_write(path):
    opened: list[Store] = []

    def open_store() -> Store:
        opened.append(Store(path))
        return opened[-1]

    journal, conversation = Journal(open_store), Conversation()
    journal.begin(Head("one?"))
    assert not path.exists()
    for text in ("one?", "two?"):
        conversation.add(user(text))
        journal.added(conversation.last)
    assert len(opened) == 1
    opened[0].close()
