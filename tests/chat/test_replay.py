"""An answer that is made again from its record is the same, whatever the cache held in between."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamachat.chat.conversation import Conversation
from llamachat.chat.replay import Change, differences, plan, warm
from llamachat.chat.turn import Settings, answer_many, ask, continue_answer
from llamachat.engine.base import Delta
from llamachat.engine.ladder import Ladder
from llamachat.engine.process import EngineProcess
from llamachat.types import LoadOptions, Message, Role

HOT = {"temperature": 4.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0}  # nearly any token
STORY = "Write a very long story about a lighthouse."


@given(st.text("ab \n.", max_size=30), st.text("ab \n.", max_size=30))
def test_a_difference_has_both_texts_in_it(before, after):
    found = list(differences(before, after))
    assert "".join(text for change, text in found if change is not Change.ADDED) == before
    assert "".join(text for change, text in found if change is not Change.REMOVED) == after
    assert all(text for _, text in found)


def test_only_the_words_that_changed_differ():
    assert list(differences("A red house.", "A blue house.")) == [
        (Change.SAME, "A "),
        (Change.REMOVED, "red "),
        (Change.ADDED, "blue "),
        (Change.SAME, "house."),
    ]


@pytest.fixture(scope="module")
def engine(parrot, tmp_path_factory) -> Iterator[EngineProcess]:
    folder = tmp_path_factory.mktemp("engine")
    options = LoadOptions(path=str(parrot), n_threads=1)
    with closing(EngineProcess(options, log=folder / "log", ladder=Ladder(folder / "ladder"))) as engine:
        yield engine


def replayed(conversation: Conversation, place: int, engine: EngineProcess) -> tuple[str, str]:
    """What an answer said, and what it says now."""
    plan_ = plan(conversation, conversation.turns[place], engine.info)
    deltas = (event for event in engine.reply(plan_.request) if isinstance(event, Delta))
    return plan_.said, "".join(event.text for event in deltas if event.index == plan_.index)


@pytest.mark.parametrize("seed", [None, 5])
def test_each_answer_of_a_conversation_comes_out_again_word_for_word(engine, seed):
    conversation = Conversation("Be brief.")
    settings = Settings(sampling=HOT, seed=seed, max_tokens=60)
    for question in ("My name is Ada.", STORY, "Greet me in Korean."):
        list(ask(conversation, question, engine, settings))
    warm(conversation, engine, settings)
    for place in (1, 5, 3) if seed else (1,):  # the others were made on a warm cache
        said, again = replayed(conversation, place, engine)
        assert said == again
        assert said


def test_the_last_stretch_of_a_continued_answer_comes_out_again(engine):
    conversation = Conversation()
    settings = Settings(sampling=HOT, seed=9, max_tokens=20)
    list(ask(conversation, STORY, engine, settings))
    list(continue_answer(conversation, engine, settings))
    list(engine.reply(settings.request(conversation.messages()[:1])))
    said, again = replayed(conversation, 1, engine)
    assert said == again
    assert conversation.turns[1].message.content.endswith(said)
    assert len(conversation.turns[1].message.content) > len(said) > 0


def test_one_of_several_answers_is_made_again_among_them(engine):
    conversation = Conversation.of((Message(Role.USER, STORY),))
    settings = Settings(sampling=HOT, seed=2**32 - 3, max_tokens=30)
    list(answer_many(conversation, engine, settings, 3))
    siblings = conversation.children()[conversation.turns[0].number]
    for turn in siblings[::-1]:
        conversation.move(turn.number)
        said, again = replayed(conversation, 1, engine)
        assert said == again
    assert len({turn.message.content for turn in siblings}) == 3
