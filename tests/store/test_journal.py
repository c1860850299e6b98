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


def test_of_several_answers_each_is_written_four_times_a_second(store, now):
    journal = Journal(lambda: store, clock=lambda: now[0])
    conversation = Conversation(keeper=journal)
    journal.begin(Head("one?"))
    conversation.add(user("one?"))
    numbers = conversation.begin_answers(3)
    for _ in range(8):
        now[0] += 0.0625
        for number in numbers:
            conversation.grow_answer("x", number)
    kept = [entry.turn for entry in store.load(journal.session).entries[1:]]
    assert [(turn.message.content, turn.state) for turn in kept] == [("x" * 8, State.STREAMING)] * 3
    conversation.end_answer(answer("b"), State.COMPLETE, number=numbers[1])
    conversation.take_back(numbers[0])
    transcript = store.load(journal.session)
    assert [(entry.turn.message.content, entry.turn.state) for entry in transcript.entries[1:]] == [
        ("b", State.COMPLETE),
        ("x" * 8, State.STREAMING),
    ]
    assert {entry.turn.parent for entry in transcript.entries[1:]} == {transcript.entries[0].turn.number}


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
    summary = conversation.summarise(question, reply, "One.", {"turns": [question, reply]})
    journal.summarised(summary)
    conversation.end_answer(answer("1"), State.COMPLETE)
    journal.ended(conversation.last, {"turns": [question], "summary": summary.number})
    journal.moved(question)
    transcript = store.load(journal.session)
    assert (transcript.session.title, transcript.session.model, transcript.session.preset) == (
        "Numbers",
        "other",
        "brief",
    )
    assert [entry.pinned for entry in transcript.entries] == [True, False]
    (kept,) = transcript.summaries
    assert kept.last == journal.number(reply)
    assert kept.made["turns"] == [journal.number(question), journal.number(reply)]
    assert transcript.entries[1].made == {"turns": [journal.number(question)], "summary": kept.number}
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


def converse(conversation: Conversation, question: str, reply: str) -> None:
    """Its keeper is told."""
    conversation.add(user(question))
    conversation.add(answer(""), State.STREAMING)
    conversation.grow_answer(reply)
    conversation.end_answer(answer(reply), State.COMPLETE)


@pytest.fixture
def kept(store) -> tuple[Conversation, Journal]:
    """A conversation with one exchange, and what keeps it."""
    journal = Journal(lambda: store)
    journal.begin(Head("one?", model="parrot", system="Be brief."))
    conversation = Conversation("Be brief.", journal)
    converse(conversation, "one?", "1")
    return conversation, journal


def test_what_is_said_after_its_session_was_removed_is_kept_and_what_was_removed_stays_so(store, kept):
    conversation, journal = kept
    removed = journal.session
    store.remove([removed])
    converse(conversation, "two?", "2")
    converse(conversation, "three?", "3")
    assert journal.trouble is None
    assert journal.session != removed
    assert said(store, journal.session) == ["two?", "2", "three?", "3"]
    assert store.search("one") == []
    head = store.find(journal.session)
    assert (head.title, head.model, head.system) == ("two?", "parrot", "Be brief.")
    assert f"kept as {journal.session}" in journal.take_remark()
    assert journal.take_remark() == ""


def test_an_answer_under_way_is_kept_with_its_question_when_the_session_is_removed(store, kept):
    conversation, journal = kept
    conversation.add(user("two?"))
    conversation.add(answer(""), State.STREAMING)
    conversation.grow_answer("a beginning")
    store.remove([journal.session])
    conversation.end_answer(answer("a beginning and an end"), State.COMPLETE, {"seed": 1, "turns": [0, 1, 2]}, 5)
    assert said(store, journal.session) == ["two?", "a beginning and an end"]
    last = store.load(journal.session).branch[-1]
    assert last.made == {"seed": 1, "turns": [None, None, journal.number(2)]}
    assert last.turn.state is State.COMPLETE


def test_an_answer_that_goes_on_or_grows_is_kept_when_the_session_is_removed(store, now):
    journal = Journal(lambda: store, clock=lambda: now[0])
    journal.begin(Head("one?"))
    conversation = Conversation(None, journal)
    converse(conversation, "one?", "1")
    store.remove([journal.session])
    conversation.reopen_answer()
    assert states(store, journal.session) == [State.COMPLETE, State.STREAMING]
    store.remove([journal.session])
    now[0] += 1
    conversation.grow_answer(" and more")
    assert said(store, journal.session) == ["one?", "1 and more"]


def test_moves_names_and_pins_in_a_removed_session_are_no_trouble_and_make_none(store, kept):
    conversation, journal = kept
    store.remove([journal.session])
    conversation.move(0)
    conversation.pin(0)
    journal.renamed("Another")
    assert journal.trouble is None
    assert store.sessions() == []
    conversation.add(user("another one?"))
    conversation.move(1)
    conversation.pin(1)
    assert journal.trouble is None
    assert said(store, journal.session) == ["another one?"]


def test_what_was_withdrawn_is_not_there(store):
    journal = Journal(lambda: store)
    journal.begin(Head("secret", one_shot=True))
    conversation = Conversation(None, journal)
    conversation.add(user("secret"))
    journal.withdraw()
    assert (store.sessions(), store.search("secret")) == ([], [])


def test_only_what_was_added_is_withdrawn_from_a_session_that_was_there(store, kept):
    _, journal = kept
    again = Journal.resume(lambda: store, store.load(journal.session))
    other = store.load(journal.session).conversation()
    other.keeper = again
    other.add(user("secret"))
    again.withdraw()
    assert said(store, journal.session) == ["one?", "1"]
