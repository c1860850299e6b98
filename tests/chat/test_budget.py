"""Which turns the model sees, held against a simple reference; what the user is told; what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamachat.chat.budget import Overflow, Rules, view
from llamachat.chat.conversation import Conversation, State
from llamachat.chat.turn import Settings, answer, ask, continue_answer, prepare
from llamachat.chat.window import PROBE, Sizes, first_kept, room
from llamachat.engine.base import Delta, Finished, Notice
from llamachat.errors import ContextOverflow, ForbiddenTag
from llamachat.types import FinishReason, Message, Role
from tests.fakes.engine import INFO, ScriptedEngine

N_CTX = 64
LIMIT = N_CTX - N_CTX // 8 - 8  # a room for the answer, and a little for what the parts of a prompt don't tell


def engine_of(*answers, n_ctx: int = N_CTX) -> ScriptedEngine:
    """A token is a word, and each message has one of framing."""
    engine = ScriptedEngine(*answers)
    engine.info = replace(INFO, n_ctx=n_ctx)
    return engine


def words(n: int) -> str:
    return " ".join("w" * n)


def talk(*sizes: tuple[int, int], system: str | None = None, question: int | None = 1) -> Conversation:
    """Exchanges of so many words, answers by a model, and a question."""
    conversation = Conversation(system)
    for asked, answered in sizes:
        conversation.add(Message(Role.USER, words(asked)))
        conversation.add(Message(Role.ASSISTANT, words(answered), generated=True))
    if question is not None:
        conversation.add(Message(Role.USER, words(question)))
    return conversation


def see(conversation: Conversation, *, ahead: bool = False, **rules):
    return view(conversation.system, conversation.turns, engine_of(), Rules(**rules), ahead=ahead)


def reference(sizes: list[tuple[int, int]], question: int, system: int, pins: set[int], limit: int) -> list[int]:
    """The exchanges that are seen with a question, by the rule as it is written in docs/context.md, word for word."""
    kept: list[int] = []
    for number in range(len(sizes) + 1):
        asked = sizes[number][0] if number < len(sizes) else question
        pinned = [n for n in kept if n in pins]
        free = [n for n in kept if n not in pins]
        room = limit - system - sum(sum(sizes[n]) for n in pinned)
        if sum(sum(sizes[n]) for n in free) + asked > room:
            while free and (
                sum(sum(sizes[n]) for n in free) > 0.75 * room or sum(sum(sizes[n]) for n in free) + asked > room
            ):
                free.pop(0)
        kept = [*sorted([*pinned, *free]), number]
    return kept[:-1]


SIZES = st.lists(st.tuples(st.integers(1, 25), st.integers(1, 25)), max_size=12)
PINS = st.sets(st.integers(0, 11), max_size=3)


@given(
    sizes=SIZES, question=st.integers(1, 20), system=st.integers(0, 30), pins=st.sets(st.integers(0, 11), max_size=3)
)
def test_what_is_seen_is_what_the_rule_says(sizes, question, system, pins):
    conversation = talk(*sizes, system=words(system) if system else None, question=question)
    numbers = frozenset(2 * pin for pin in pins)
    sizes_framed = [(asked + 1, answered + 1) for asked, answered in sizes]
    pins = {pin for pin in pins if pin < len(sizes)}
    kept = reference(sizes_framed, question + 1, system + 1 if system else 0, pins, LIMIT)
    try:
        seen = see(conversation, pinned=numbers)
    except ContextOverflow:
        fixed = sum(sum(sizes_framed[pin]) for pin in pins) + (system + 1 if system else 0) + question + 1
        assert numbers
        assert fixed >= N_CTX
        return
    assert list(seen.seen) == [number for n in kept for number in (2 * n, 2 * n + 1)] + [2 * len(sizes)]
    assert [n - 1 for n in seen.dropped] == [n for n in range(len(sizes)) if n not in kept]
    everything = conversation.messages()
    assert seen.messages == tuple(everything[place] for place in seen.places)
    if sizes:
        assert seen.n_tokens == sum(len(message.content.split()) + 1 for message in seen.messages)
    roles = [message.role for message in seen.messages if message.role is not Role.SYSTEM]
    assert roles == [Role.USER, Role.ASSISTANT] * len(kept) + [Role.USER]
    is_alone = all(n in pins for n in kept)
    assert is_alone or seen.n_tokens <= LIMIT


@given(sizes=SIZES, pins=st.sets(st.integers(0, 11), max_size=2))
def test_what_has_left_stays_out_and_does_not_leave_again(sizes, pins):
    """Turn by turn, and prepared after the answer or not."""
    conversation, out = Conversation(), set()
    rules = Rules(pinned=frozenset(2 * pin for pin in pins))
    engine = engine_of(n_ctx=N_CTX + 60 * len(pins))  # the pins alone never fill it
    for asked, answered in sizes:
        conversation.add(Message(Role.USER, words(asked)))
        seen = view(None, conversation.turns, engine, rules)
        assert out <= set(seen.dropped)
        assert set(seen.leaving) == set(seen.dropped) - out
        out = set(seen.dropped)
        conversation.add(Message(Role.ASSISTANT, words(answered), generated=True))
        ahead = view(None, conversation.turns, engine, rules, ahead=True)
        conversation.add(Message(Role.USER, "x"))
        assert view(None, conversation.turns, engine, rules) == replace(
            ahead, messages=(*ahead.messages, PROBE), seen=(*ahead.seen, conversation.turns[-1].number),
            places=(*ahead.places, len(conversation.turns) - 1),
        )  # fmt: skip
        conversation.take_back()


def test_after_turns_have_left_a_quarter_of_the_room_is_free():
    sizes = Sizes(0, [10] * 20, [2] * 21)
    starts = list(first_kept(sizes, (), 100))
    moves = [index for index in range(1, 21) if starts[index] != starts[index - 1]]
    assert moves == [10, 13, 16, 19]
    assert [starts[index] for index in moves] == [3, 6, 9, 12]


def test_the_room_for_an_answer_is_no_more_than_it_may_take_and_an_eighth_of_the_context():
    assert room(4096, None) == 256
    assert room(4096, 40) == 40
    assert room(4096, 4000) == 512
    assert room(256, None) == 32


def test_the_line_names_the_turns_that_leave_once():
    conversation = talk(*[(5, 5)] * 6)
    engine = engine_of(["yes"], ["no"])
    said = [event.text for event in answer(conversation, engine, Settings()) if isinstance(event, Notice)]
    assert said == ["Turn 3 leaves the model's view (12 tokens); the transcript keeps it."]
    assert [event for event in ask(conversation, "x", engine, Settings()) if isinstance(event, Notice)] == []
    assert [len(request.messages) for request in engine.requests] == [2 * 3 + 1, 2 * 4 + 1]


def test_the_line_of_several_turns_with_a_pin_among_them():
    conversation = talk(*[(5, 5)] * 4, question=20)
    line = "Turns 1, 3 leave the model's view (24 tokens); the transcript keeps them."
    assert see(conversation, pinned=frozenset({2})).line == line
    line = "Turns 2-3 leave the model's view (24 tokens); the transcript keeps them."
    assert see(conversation, pinned=frozenset({1})).line == line


def test_answers_that_no_model_gave_have_not_been_seen():
    """A conversation that comes whole, from --messages: all that leaves is told."""
    messages = [Message(role, words(5)) for _ in range(9) for role in (Role.USER, Role.ASSISTANT)]
    seen = see(Conversation.of((*messages, Message(Role.USER, "x"))))
    assert seen.leaving == seen.dropped
    assert seen.line


def test_refused_means_refused_where_the_whole_does_not_fit_and_only_there():
    fits = talk(*[(5, 5)] * 4, question=N_CTX - 48 - 2)
    assert len(see(fits, overflow=Overflow.REFUSE).messages) == 9
    with pytest.raises(ContextOverflow, match="2 turns would have to leave") as caught:
        see(talk(*[(5, 5)] * 4, question=N_CTX - 48 - 1), overflow=Overflow.REFUSE)
    assert (caught.value.n_tokens, caught.value.n_ctx) == (N_CTX, N_CTX)


def test_pins_that_leave_no_room_are_named():
    with pytest.raises(ContextOverflow, match="Unpin a turn"):
        see(talk((20, 20), (20, 20)), pinned=frozenset({0, 2}))


def test_a_conversation_that_is_not_by_turns_is_left_to_the_format():
    messages = tuple(Message(Role.USER, words(20)) for _ in range(9))
    assert see(Conversation.of(messages)).messages == messages


def test_a_first_question_asks_the_engine_nothing():
    engine = engine_of()
    engine.measure = None
    assert view(None, talk(question=500).turns, engine, Rules()).n_tokens is None


def test_what_left_is_counted_and_written_down_with_the_answer():
    conversation = talk(*[(5, 5)] * 6)
    *_, finished = answer(conversation, engine_of(["yes"]), Settings())
    assert isinstance(finished, Finished)
    assert finished.context.dropped_turns == 3
    assert conversation.made["turns"] == [6, 7, 8, 9, 10, 11, 12]
    assert conversation.made["context"]["dropped_turns"] == 3
    assert len(conversation.turns) == 14


def test_a_request_says_that_the_cache_may_be_moved_when_turns_have_just_left():
    conversation = talk(*[(5, 5)] * 6)
    engine = engine_of(["yes"], ["no"], ["yes"])
    list(answer(conversation, engine, Settings()))
    list(ask(conversation, "x", engine, Settings()))
    list(answer(talk(*[(5, 5)] * 6), engine, Settings(shift=False)))
    assert [request.shift for request in engine.requests] == [True, False, False]


def test_an_answer_that_filled_the_window_goes_on_after_the_oldest_have_left():
    conversation = talk(*[(5, 5)] * 3, question=5)
    conversation.add(Message(Role.ASSISTANT, words(20), generated=True), State.LENGTH)
    engine = engine_of(["more"])
    notices = [e.text for e in continue_answer(conversation, engine, Settings()) if isinstance(e, Notice)]
    assert notices == ["Turns 1-2 leave the model's view (24 tokens); the transcript keeps them."]
    assert engine.requests[0].open_answer
    assert len(engine.requests[0].messages) == 4
    assert conversation.turns[-1].message.content.endswith("more")


def test_going_on_does_not_name_again_what_left_before_the_answer():
    conversation = talk(*[(5, 5)] * 6)
    engine = engine_of([words(2), FinishReason.LENGTH], ["more"])
    list(answer(conversation, engine, Settings()))
    events = list(continue_answer(conversation, engine, Settings()))
    assert not any(isinstance(event, Notice) for event in events)
    assert engine.requests[1].messages[:-1] == engine.requests[0].messages


def test_the_engine_makes_room_while_nobody_waits():
    engine = engine_of()
    conversation = talk(*[(5, 5)] * 4, question=None)
    prepare(conversation, engine, Settings())
    assert len(engine.prefilled) == 1
    assert engine.prefilled[0].shift
    assert engine.prefilled[0].messages == (*conversation.messages()[2:], PROBE)


def test_there_is_nothing_to_prepare_where_the_next_question_fits():
    engine = engine_of()
    prepare(talk(*[(5, 5)] * 3, question=None), engine, Settings())
    prepare(talk(*[(5, 5)] * 4), engine, Settings())
    assert engine.prefilled == []


def test_a_tag_is_placed_in_the_whole_conversation():
    conversation = talk(*[(5, 5)] * 6, system="s")
    engine = engine_of([ForbiddenTag("[INST]", 5, "user", 3)])
    with pytest.raises(ForbiddenTag) as caught:
        list(answer(conversation, engine, Settings()))
    assert (caught.value.index, caught.value.offset) == (len(conversation.messages()) - 1, 3)


def test_a_chat_that_was_taken_up_while_the_model_loads_waits_for_it():
    class Loading(ScriptedEngine):
        def wait_until_loaded(self):
            yield Notice("loaded")
            self.info = replace(INFO, n_ctx=N_CTX)

    engine = Loading(["yes"])
    engine.info = None
    events = list(answer(talk(*[(5, 5)] * 6), engine, Settings()))
    assert events[0] == Notice("loaded")
    assert len(engine.requests[0].messages) == 7
    assert isinstance(events[-2], Delta)
