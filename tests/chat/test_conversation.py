"""The tree of turns: nothing said is overwritten, and the model sees one branch."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamachat.chat.conversation import Conversation, State
from llamachat.types import Message, Role


def said(conversation: Conversation) -> list[str]:
    return [turn.message.content for turn in conversation.turns]


@pytest.fixture
def talk() -> Conversation:
    """Two questions, two answers."""
    conversation = Conversation("Be brief.")
    for question, answer in (("one?", "1"), ("two?", "2")):
        conversation.add(Message(Role.USER, question))
        conversation.add(Message(Role.ASSISTANT, answer, generated=True))
    return conversation


def test_the_model_sees_the_system_prompt_and_the_turns_in_order(talk):
    assert [message.content for message in talk.messages()] == ["Be brief.", "one?", "1", "two?", "2"]
    assert talk.has_answer
    assert talk.answer.content == "2"
    assert [turn.message.content for turn in talk.questions] == ["one?", "two?"]


def test_another_branch_leaves_the_old_one_where_it_was(talk):
    old = talk.leaf
    talk.move(talk.questions[1].parent)
    talk.add(Message(Role.USER, "three?"))
    assert said(talk) == ["one?", "1", "three?"]
    talk.move(old)
    assert said(talk) == ["one?", "1", "two?", "2"]


def test_before_the_first_turn_there_is_only_the_system_prompt(talk):
    talk.move(None)
    assert talk.turns == ()
    assert talk.answer is None
    assert not talk.has_answer
    assert [message.role for message in talk.messages()] == [Role.SYSTEM]


def test_a_turn_that_came_to_nothing_can_be_taken_back(talk):
    before = talk.leaf
    talk.add(Message(Role.USER, "three?"))
    assert talk.take_back().content == "three?"
    assert talk.leaf == before


def test_an_answer_grows_and_ends_in_place(talk):
    talk.add(Message(Role.USER, "three?"))
    talk.add(Message(Role.ASSISTANT, "", generated=True), State.STREAMING)
    number = talk.leaf
    talk.grow_answer("thr")
    talk.grow_answer("ee")
    assert (talk.last.message.content, talk.last.state) == ("three", State.STREAMING)
    talk.end_answer(talk.last.message, State.INTERRUPTED)
    assert (talk.last.number, talk.last.state) == (number, State.INTERRUPTED)


def test_a_list_of_messages_is_a_conversation_with_one_branch():
    messages = (Message(Role.SYSTEM, "s"), Message(Role.USER, "u"), Message(Role.ASSISTANT, "a"))
    assert Conversation.of(messages).messages() == messages
    assert Conversation.of(messages[1:]).messages() == messages[1:]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 30)), max_size=40))
def test_any_moves_and_additions_agree_with_lists_of_lists(steps):
    """The oracle keeps for each turn the whole list of texts up to it."""
    conversation, paths = Conversation(), {None: []}
    for count, (adds, place) in enumerate(steps):
        if adds:
            before = paths[conversation.leaf]
            conversation.add(Message(Role.USER, str(count)))
            paths[conversation.leaf] = [*before, str(count)]
        else:
            conversation.move(list(paths)[place % len(paths)])
        assert said(conversation) == paths[conversation.leaf]
