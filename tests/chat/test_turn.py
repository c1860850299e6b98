"""Every word that came is in the conversation, however the turn ended."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from llamachat.chat.conversation import Conversation, State
from llamachat.chat.turn import Settings, answer_despite_crash, answer_many, ask
from llamachat.engine.base import Delta, Event, Finished, Notice, Reading, Request
from llamachat.errors import ContextOverflow, EngineDied
from llamachat.types import AnswerTokens, ContextUse, FinishReason, Message, Role, Timings, Usage

TOKENS = AnswerTokens("v", (1, 2))


def finished(reason=FinishReason.STOP, tokens=TOKENS, index=0) -> Finished:
    return Finished(reason, 7 + index, tokens, Usage(), Timings(), ContextUse(10, 1), index)


class ScriptedEngine:
    """Plays one script of events and errors after another, and remembers what it was asked."""

    info = None

    def __init__(self, *scripts: list[Event | Exception]) -> None:
        self._scripts = list(scripts)
        self.requests: list[Request] = []

    def wait_until_loaded(self) -> Iterator[Event]:
        return iter(())

    def reply(self, request: Request) -> Iterator[Event]:
        self.requests.append(request)
        for item in self._scripts.pop(0):
            if isinstance(item, Exception):
                raise item
            yield item


def contents(conversation: Conversation) -> list[tuple[str, str, str]]:
    return [(turn.message.role.value, turn.message.content, turn.state.value) for turn in conversation.turns]


def test_an_answer_is_kept_with_its_token_ids():
    conversation = Conversation("be brief")
    engine = ScriptedEngine([Reading(1, 1), Delta("Hel"), Delta("lo"), finished()])
    list(ask(conversation, "hi", engine, Settings()))
    assert contents(conversation) == [("user", "hi", "complete"), ("assistant", "Hello", "complete")]
    assert conversation.turns[1].message.tokens == TOKENS
    assert [message.content for message in engine.requests[0].messages] == ["be brief", "hi"]


def test_the_next_request_carries_the_answer_and_its_ids():
    conversation = Conversation()
    engine = ScriptedEngine([Delta("Hello"), finished()], [Delta("Yes"), finished()])
    for text in ("hi", "sure?"):
        list(ask(conversation, text, engine, Settings()))
    assert engine.requests[1].messages[1] == Message(Role.ASSISTANT, "Hello", generated=True, tokens=TOKENS)


@pytest.mark.parametrize(
    ("reason", "state"), [(FinishReason.INTERRUPTED, State.INTERRUPTED), (FinishReason.LENGTH, State.LENGTH)]
)
def test_an_answer_that_was_cut_is_kept_with_its_state(reason, state):
    conversation = Conversation()
    list(ask(conversation, "hi", ScriptedEngine([Delta("Hel"), finished(reason)]), Settings()))
    assert contents(conversation)[1] == ("assistant", "Hel", state.value)


def test_a_crash_keeps_what_was_said_and_marks_it():
    conversation = Conversation()
    with pytest.raises(EngineDied):
        list(ask(conversation, "hi", ScriptedEngine([Delta("Hel"), EngineDied("died")]), Settings()))
    assert contents(conversation)[1] == ("assistant", "Hel", "error")


def test_a_consumer_that_stops_listening_loses_nothing():
    conversation = Conversation()
    events = ask(conversation, "hi", ScriptedEngine([Delta("Hel"), Delta("lo")]), Settings())
    next(events)
    events.close()
    assert contents(conversation)[1] == ("assistant", "Hel", "error")


def test_an_error_before_the_first_word_leaves_the_question_last():
    conversation = Conversation()
    with pytest.raises(ContextOverflow):
        list(ask(conversation, "hi", ScriptedEngine([ContextOverflow(9, 8)]), Settings()))
    assert contents(conversation) == [("user", "hi", "complete")]
    assert conversation.take_back().content == "hi"
    assert conversation.turns == ()


def test_an_interrupt_before_the_first_word_leaves_the_question_last():
    conversation = Conversation()
    list(ask(conversation, "hi", ScriptedEngine([finished(FinishReason.INTERRUPTED, None)]), Settings()))
    assert not conversation.has_answer


def test_a_model_with_nothing_to_say_has_said_so():
    conversation = Conversation()
    list(ask(conversation, "hi", ScriptedEngine([finished()]), Settings()))
    assert contents(conversation)[1] == ("assistant", "", "complete")


def test_a_one_shot_goes_on_after_a_crash_where_it_stopped():
    conversation = Conversation.of((Message(Role.USER, "hi"),))
    engine = ScriptedEngine([Delta("Hel"), EngineDied("the engine crashed.")], [Delta("lo"), finished()])
    events = list(answer_despite_crash(conversation, engine, Settings()))
    assert contents(conversation)[1] == ("assistant", "Hello", "complete")
    assert engine.requests[1].open_answer
    assert engine.requests[1].messages[-1].content == "Hel"
    assert conversation.turns[1].message.tokens is None  # the ids are of the second half only
    assert [event.text for event in events if isinstance(event, Notice)] == [
        "the engine crashed. It was started again, and the answer goes on."
    ]


def test_a_seeded_answer_is_said_again_without_what_was_said():
    conversation = Conversation.of((Message(Role.USER, "hi"),))
    again = [Delta("He"), Delta("llo y"), Delta("ou"), finished()]
    engine = ScriptedEngine([Delta("Hello"), EngineDied("a")], again)
    events = list(answer_despite_crash(conversation, engine, Settings(seed=1)))
    assert [event.text for event in events if isinstance(event, Delta)] == ["Hello", " y", "ou"]
    assert contents(conversation)[1] == ("assistant", "Hello you", "complete")
    assert not engine.requests[1].open_answer


def test_a_second_crash_is_the_end():
    conversation = Conversation.of((Message(Role.USER, "hi"),))
    engine = ScriptedEngine([Delta("Hel"), EngineDied("a")], [Delta("lo"), EngineDied("b")])
    with pytest.raises(EngineDied, match="b"):
        list(answer_despite_crash(conversation, engine, Settings()))
    assert contents(conversation)[1] == ("assistant", "Hello", "error")


def test_a_crash_before_the_first_word_is_not_gone_on_from():
    conversation = Conversation.of((Message(Role.USER, "hi"),))
    engine = ScriptedEngine([EngineDied("a")])
    with pytest.raises(EngineDied):
        list(answer_despite_crash(conversation, engine, Settings()))
    assert len(engine.requests) == 1


def test_a_system_message_at_the_head_is_the_system_prompt():
    conversation = Conversation.of((Message(Role.SYSTEM, "s"), Message(Role.USER, "u")))
    assert conversation.system == "s"
    assert [message.content for message in conversation.messages()] == ["s", "u"]


def test_an_empty_system_message_is_still_one():
    assert Conversation.of((Message(Role.SYSTEM, ""), Message(Role.USER, "u"))).messages()[0].content == ""


class TestSeveralAnswers:
    def asked(self) -> Conversation:
        """A question that has an answer, and stands at the question again."""
        conversation = Conversation()
        list(ask(conversation, "hi", ScriptedEngine([Delta("old"), finished()]), Settings()))
        conversation.move(conversation.questions[0].number)
        return conversation

    def answers(self, conversation: Conversation) -> list[tuple[str, str]]:
        children = conversation.children()[conversation.questions[0].number]
        return [(turn.message.content, turn.state.value) for turn in children]

    def run(self, conversation: Conversation, *script: Event | Exception, n: int = 3) -> dict[int, int]:
        return (yield from answer_many(conversation, ScriptedEngine(list(script)), Settings(seed=5), n))

    def all_of(self, *script: Event | Exception, n: int = 3) -> tuple[Conversation, dict[int, int]]:
        conversation, found = self.asked(), {}

        def whole() -> Iterator[Event]:
            found.update((yield from self.run(conversation, *script, n=n)))

        list(whole())
        return conversation, found

    def test_each_is_a_sibling_with_its_own_ids_state_and_record(self):
        other = AnswerTokens("v", (3,))
        conversation, found = self.all_of(
            Reading(1, 1), Delta("a", 0), Delta("b", 1), Delta("A", 0), finished(index=1, tokens=other),
            finished(FinishReason.LENGTH, index=0), n=2,
        )  # fmt: skip
        assert self.answers(conversation) == [("old", "complete"), ("aA", "length"), ("b", "complete")]
        first, second = (conversation.turn(found[index]) for index in (0, 1))
        assert (first.message.tokens, second.message.tokens) == (TOKENS, other)
        assert [conversation.made_of(found[index])["seed"] for index in (0, 1)] == [7, 8]
        assert conversation.made_of(found[1])["candidate"] == {"number": 2, "of": 2}
        assert conversation.leaf == found[0]

    def test_it_is_one_request(self):
        engine, conversation = ScriptedEngine([finished(index=index) for index in (2, 0, 1)]), self.asked()
        list(answer_many(conversation, engine, Settings(seed=5), 3))
        assert [(request.n, request.seed, len(request.messages)) for request in engine.requests] == [(3, 5, 1)]

    def test_those_of_which_nothing_came_are_not_there(self):
        conversation, found = self.all_of(
            Delta("b", 1), *(finished(FinishReason.INTERRUPTED, None, index) for index in range(3))
        )
        assert self.answers(conversation) == [("old", "complete"), ("b", "interrupted")]
        assert list(found) == [1]
        assert conversation.leaf == found[1]

    def test_where_nothing_came_at_all_the_question_is_last(self):
        conversation, found = self.all_of(*(finished(FinishReason.INTERRUPTED, None, index) for index in range(3)))
        assert (found, conversation.has_answer) == ({}, False)
        assert self.answers(conversation) == [("old", "complete")]

    def test_a_crash_keeps_what_each_had_said(self):
        conversation = self.asked()
        script = [Delta("a", 0), Delta("b", 1), finished(index=1), EngineDied("died")]
        with pytest.raises(EngineDied):
            list(self.run(conversation, *script))
        assert self.answers(conversation)[1:] == [("a", "error"), ("b", "complete")]
        assert conversation.last.message.content == "a"

    def test_a_consumer_that_stops_listening_loses_nothing(self):
        conversation = self.asked()
        events = self.run(conversation, Delta("a", 0), Delta("b", 1), Delta("c", 2))
        next(events), next(events)
        events.close()
        assert self.answers(conversation)[1:] == [("a", "error"), ("b", "error")]
