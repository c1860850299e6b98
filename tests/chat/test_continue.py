"""An answer that broke off is taken up where it stands, with nothing lost and nothing evaluated twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from llamachat.chat.conversation import Conversation, State
from llamachat.chat.turn import Settings, ask, continue_answer
from llamachat.engine.base import Delta, Event, Finished
from llamachat.engine.ladder import Ladder
from llamachat.engine.process import EngineProcess
from llamachat.errors import EngineDied
from llamachat.types import AnswerTokens, FinishReason, LoadOptions, Message, Role
from tests.chat.test_turn import TOKENS, ScriptedEngine, finished

MORE = AnswerTokens("v", (3, 4))


def broken_off(tokens: AnswerTokens | None = TOKENS) -> Conversation:
    conversation = Conversation.of((Message(Role.USER, "hi"),))
    conversation.add(Message(Role.ASSISTANT, "Hel", generated=True, tokens=tokens), State.INTERRUPTED)
    return conversation


def continued(conversation: Conversation, *script: Event | Exception) -> ScriptedEngine:
    engine = ScriptedEngine(list(script))
    list(continue_answer(conversation, engine, Settings()))
    return engine


def test_an_answer_grows_in_its_place_and_its_ids_with_it():
    conversation = broken_off()
    engine = continued(conversation, Delta("lo"), finished(tokens=MORE))
    assert engine.requests[0].open_answer
    assert engine.requests[0].messages[-1].tokens == TOKENS
    answer = conversation.turns[-1]
    assert len(conversation.turns) == 2
    assert (answer.message.content, answer.state) == ("Hello", State.COMPLETE)
    assert answer.message.tokens == AnswerTokens("v", (1, 2, 3, 4))


@pytest.mark.parametrize(
    ("old", "more"), [(None, MORE), (TOKENS, None), (AnswerTokens("another", (1,)), MORE)], ids=["old", "new", "vocab"]
)
def test_ids_that_are_not_those_of_the_whole_text_are_dropped(old, more):
    conversation = broken_off(old)
    continued(conversation, Delta("lo"), finished(tokens=more))
    assert conversation.turns[-1].message.content == "Hello"
    assert conversation.turns[-1].message.tokens is None


@pytest.mark.parametrize("reason", [reason for reason in FinishReason if reason is not FinishReason.STOP])
def test_when_nothing_more_comes_the_answer_is_what_it_was(reason):
    conversation = broken_off()
    before = conversation.turns
    continued(conversation, finished(reason, AnswerTokens("v", ())))
    assert conversation.turns == before


def test_when_the_model_has_nothing_to_add_the_answer_is_complete():
    conversation = broken_off()
    continued(conversation, finished(tokens=AnswerTokens("v", ())))
    assert (conversation.last.message.content, conversation.last.state) == ("Hel", State.COMPLETE)
    assert conversation.last.message.tokens == TOKENS


def test_when_it_fails_at_once_the_answer_is_what_it_was():
    conversation = broken_off()
    before = conversation.turns
    with pytest.raises(EngineDied):
        continued(conversation, EngineDied("died"))
    assert conversation.turns == before


def test_when_it_fails_in_the_middle_what_came_is_kept_without_ids_that_are_too_few():
    conversation = broken_off()
    with pytest.raises(EngineDied):
        continued(conversation, Delta("l"), EngineDied("died"))
    answer = conversation.turns[-1]
    assert (answer.message.content, answer.message.tokens, answer.state) == ("Hell", None, State.ERROR)


# with the model


@pytest.fixture
def engine(parrot, tmp_path) -> Iterator[EngineProcess]:
    options = LoadOptions(path=str(parrot), n_threads=1)
    with closing(EngineProcess(options, log=tmp_path / "log", ladder=Ladder(tmp_path / "ladder"))) as engine:
        yield engine


def last(events: Iterator[Event]) -> Finished:
    *_, end = events
    assert isinstance(end, Finished)
    return end


def test_after_an_interrupt_and_a_continuation_the_next_turn_reuses_the_whole_answer(engine):
    conversation = Conversation()
    settings = Settings(sampling={"temperature": 0.0})
    events = ask(conversation, "Write a very long story about a lighthouse.", engine, settings)
    next(event for event in events if isinstance(event, Delta))
    engine.interrupt()
    end = last(events)
    assert end.reason is FinishReason.INTERRUPTED
    begun = conversation.turns[-1].message

    more = last(continue_answer(conversation, engine, Settings(sampling={"temperature": 0.0}, max_tokens=40)))
    whole = conversation.turns[-1].message
    assert whole.content.startswith(begun.content)
    assert more.usage.reused_tokens >= end.usage.prompt_tokens + len(begun.tokens.ids) - 1
    assert len(whole.tokens.ids) == len(begun.tokens.ids) + 40

    following = last(ask(conversation, "What is 2+2?", engine, settings))
    assert following.usage.reused_tokens >= end.usage.prompt_tokens + len(whole.tokens.ids) - 1


def test_an_answer_in_two_parts_is_the_answer_in_one(engine):
    text = []
    for limits in ((None,), (6, None)):
        conversation = Conversation()
        for limit in limits:
            settings = Settings(sampling={"temperature": 0.0}, max_tokens=limit)
            if conversation.has_answer:
                list(continue_answer(conversation, engine, settings))
            else:
                list(ask(conversation, "Greet me in Korean.", engine, settings))
        text.append((conversation.turns[-1].message.content, conversation.turns[-1].message.tokens))
    assert text[0] == text[1]
    assert text[0][0] == "안녕하세요 🙂 "
    list(ask(conversation, "What is 2+2?", engine, settings))
    assert conversation.turns[-1].message.content == "2+2 is 4. "  # which it says in the exact format only


def test_the_tokens_of_a_text_are_those_of_the_prompt_and_no_control_token(engine):
    tokens = engine.tokens("[INST] hi</s>é [/INST]")
    assert engine.count("[INST] hi</s>é [/INST]") == len(tokens)
    assert not any(token.is_control for token in tokens)
    assert "".join(token.text for token in tokens) == " [INST] hi</s>\ufffd\ufffd [/INST]"  # two bytes, a token each
    rendered = engine.render(Settings().request((Message(Role.USER, "hi</s>é"),)))
    assert [token.text for token in rendered.pieces if token.is_control] == ["<s>"]
    assert rendered.pieces[1:] == tokens
    assert rendered.tokens == tuple(token.id for token in rendered.pieces)
