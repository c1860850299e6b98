"""Turns become a summary: which, when, what the model is told, and what happens when none can be made."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamachat.chat.budget import Overflow
from llamachat.chat.conversation import Conversation
from llamachat.chat.events import NotSummarised, Summarised, Summarising
from llamachat.chat.summary import harmless, told
from llamachat.chat.turn import Settings, answer, ask, continue_answer, prepare, sum_up, view_of
from llamachat.engine.base import Finished, Notice
from llamachat.engine.ladder import Ladder
from llamachat.engine.process import EngineProcess
from llamachat.errors import EngineDied, ForbiddenTag, Interrupted, UsageError
from llamachat.formats.llama2 import TAGS, Llama2Format
from llamachat.formats.plain import PlainFormat
from llamachat.types import FinishReason, LoadOptions, Message, Role
from tests.chat.test_budget import engine_of, talk, words
from tests.model.dialogs import FACTS

N_CTX = 512
SUMMARISE = Settings(overflow=Overflow.SUMMARISE)
SUMMARY = "They spoke of w."


def summarising(*answers, n_ctx: int = N_CTX):
    return engine_of(*answers, n_ctx=n_ctx)


def long_talk(n: int = 24, **options) -> Conversation:
    """Exchanges of 20 tokens: 21 fill what there is for them."""
    return talk(*[(9, 9)] * n, **options)


def lines(events) -> list[str]:
    return [event.text for event in events if isinstance(event, Notice)]


def test_turns_that_have_no_room_become_a_summary_and_stay_in_the_transcript():
    conversation, engine = long_talk(system="Be kind."), summarising([SUMMARY], ["yes"])
    before = conversation.turns
    events = list(answer(conversation, engine, SUMMARISE))
    assert conversation.turns[:-1] == before
    (made,) = [event for event in events if isinstance(event, Summarised)]
    assert made.text == SUMMARY
    n_out = (len(before) + 1 - len(engine.requests[1].messages)) // 2
    n_tokens = 20 * n_out
    assert made.line == f"Turns 1-{n_out} are now a summary of 4 tokens (before: {n_tokens})"
    assert lines(events) == [f"Turns 1-{n_out} have no room any more: the model sums up what is said there."]
    assert any(isinstance(event, Summarising) for event in events)
    assert [type(event) for event in events].count(Finished) == 1
    system, first, *_ = engine.requests[1].messages
    assert system == Message(Role.SYSTEM, "Be kind.")
    assert first.content == told(SUMMARY) + before[2 * n_out].message.content
    assert conversation.summary.covered([turn.number for turn in before]) == set(range(2 * n_out))


def test_the_request_for_a_summary_has_the_turns_and_nothing_of_the_chats_settings():
    conversation, engine = long_talk(system="Answer in French."), summarising([SUMMARY], ["yes"])
    list(answer(conversation, engine, replace(SUMMARISE, stops=("w",), sampling={"temperature": 2})))
    request = engine.requests[0]
    assert request.sampling == {"temperature": 0}
    assert request.stops == ()
    assert request.max_tokens <= N_CTX // 8
    (asked,) = request.messages
    assert "French" not in asked.content
    assert asked.content.count("\n\nThe user: ") == asked.content.count("\n\nThe assistant: ") > 2


def test_the_next_turns_need_no_summary_and_a_later_one_takes_the_first_up():
    engine = _Writer(4, words(30))
    conversation = long_talk(20, question=None)
    counts = []
    for _ in range(10):
        events = list(ask(conversation, words(9), engine, SUMMARISE))
        counts.append(sum(isinstance(event, Summarised) for event in events))
    assert counts == [0, 1, 0, 0, 0, 1, 0, 0, 0, 1]
    asked = [request.messages[0].content for request in engine.requests if request.max_tokens]
    assert ["Summary of its beginning" in each for each in asked] == [False, True, True]
    first, second, third = conversation.summaries
    assert (first.made["summary"], second.made["summary"], third.made["summary"]) == (None, 1, 2)
    assert conversation.summary == third
    assert set(first.made["turns"]) < set(second.made["turns"]) < set(third.made["turns"])
    seen = view_of(conversation, engine, SUMMARISE, ahead=True)
    assert sum(told(third.content) in message.content for message in seen.messages) == 1


def test_an_answer_says_which_summary_it_saw():
    conversation, engine = talk((2, 2)), summarising(["yes"], [SUMMARY], ["no"])
    list(answer(conversation, engine, SUMMARISE))
    assert "summary" not in conversation.made
    list(sum_up(conversation, engine, SUMMARISE))
    list(ask(conversation, "x", engine, SUMMARISE))
    assert conversation.made["summary"] == conversation.summary.number
    assert conversation.made["turns"] == [turn.number for turn in conversation.turns[2:-1]]
    assert conversation.made["context"]["dropped_turns"] == 0


def test_stopped_or_failed_the_turns_leave_without():
    for step, said in (
        (FinishReason.INTERRUPTED, "Stopped: there is no summary this time."),
        (Interrupted("stopped."), "Stopped: there is no summary this time."),
        (EngineDied("the engine died.", restarts=True), "There is no summary this time: the engine died."),
        ("  \n", "There is no summary this time: the model wrote nothing."),
    ):
        conversation, engine = long_talk(), summarising([" ", step], ["yes"])
        events = list(answer(conversation, engine, SUMMARISE))
        (failed,) = [event for event in events if isinstance(event, NotSummarised)]
        assert failed.line == said
        assert failed.stopped == said.startswith("Stopped")
        assert conversation.made["context"]["dropped_turns"] > 5
        assert conversation.answer.content == "yes"
        assert conversation.summaries == []


def test_a_summary_that_failed_is_tried_again_at_the_next_turn():
    conversation, engine = long_talk(), summarising([FinishReason.INTERRUPTED], ["yes"], [SUMMARY], ["no"])
    list(answer(conversation, engine, SUMMARISE))
    events = list(ask(conversation, "x", engine, SUMMARISE))
    assert any(isinstance(event, Summarised) for event in events)
    assert view_of(conversation, engine, SUMMARISE).dropped == ()


def test_nothing_is_summed_up_in_the_background():
    conversation, engine = long_talk(question=None), summarising()
    prepare(conversation, engine, SUMMARISE)
    assert (engine.requests, engine.prefilled) == ([], [])


def test_a_summary_holds_only_below_the_turns_it_stands_for():
    conversation, engine = talk(*[(2, 2)] * 4, question=None), summarising([SUMMARY], ["One."])
    numbers = [turn.number for turn in conversation.turns]
    list(sum_up(conversation, engine, SUMMARISE))
    assert conversation.summary.last == numbers[5]
    conversation.move(numbers[3])  # undone, beyond it
    assert conversation.summary is None
    assert view_of(conversation, engine, SUMMARISE, ahead=True).summed == ()
    list(sum_up(conversation, engine, SUMMARISE))
    assert (conversation.summary.content, conversation.summary.last) == ("One.", numbers[1])
    conversation.move(numbers[7])
    assert conversation.summary.content == SUMMARY
    conversation.move(numbers[5])  # back to its end: the next question is the first that follows
    conversation.add(Message(Role.USER, "next"))
    assert [message.content for message in view_of(conversation, engine, SUMMARISE).messages] == [
        f"{told(SUMMARY)}next"
    ]


def test_pinned_exchanges_stay_word_for_word_and_one_let_go_is_seen_again():
    conversation, engine = talk(*[(2, 2)] * 5, question=None), summarising([SUMMARY], ["Two."])
    pinned = replace(SUMMARISE, pinned=frozenset({2}))
    list(sum_up(conversation, engine, pinned))
    assert conversation.summary.covered(range(10)) == {0, 1, 4, 5, 6, 7}
    conversation.add(Message(Role.USER, "x"))
    seen = view_of(conversation, engine, pinned)
    assert seen.seen == (2, 3, 8, 9, 10)
    assert seen.told_at == 2
    assert view_of(conversation, engine, SUMMARISE).seen == (2, 3, 8, 9, 10)
    assert view_of(conversation, engine, replace(SUMMARISE, pinned=frozenset({4}))).seen == (2, 3, 4, 5, 8, 9, 10)


def test_forgotten_the_turns_come_back():
    conversation, engine = talk(*[(2, 2)] * 4, question=None), summarising(["One."], [SUMMARY])
    whole = conversation.turns
    conversation.move(whole[3].number)
    list(sum_up(conversation, engine, SUMMARISE))
    conversation.move(whole[-1].number)
    list(sum_up(conversation, engine, SUMMARISE))
    conversation.forget_summaries()
    assert conversation.summary is None
    assert len(view_of(conversation, engine, SUMMARISE, ahead=True).seen) == 8
    conversation.move(whole[3].number)
    assert conversation.summary is None


def test_there_has_to_be_something_to_sum_up():
    for conversation in (Conversation(), talk((2, 2), question=None)):
        with pytest.raises(UsageError, match="nothing to sum up"):
            list(sum_up(conversation, summarising(), SUMMARISE))
    conversation = talk((2, 2), (2, 2), question=None)
    with pytest.raises(UsageError, match="nothing to sum up"):
        list(sum_up(conversation, summarising(), replace(SUMMARISE, pinned=frozenset({0}))))


def test_what_is_longer_than_the_context_is_summed_up_piece_by_piece():
    conversation = talk((9, 9), (500, 300), (9, 9), question=5)
    engine = summarising(*[[f"part{number}"] for number in range(8)], ["yes"])
    list(answer(conversation, engine, SUMMARISE))
    *asked, _ = engine.requests
    assert len(asked) > 3
    for number, request in enumerate(asked):
        (size,) = engine.measure([request.messages])
        assert size + request.max_tokens < N_CTX
        assert (f"part{number - 1}" in request.messages[0].content) == (number > 0)
    assert sum(request.messages[0].content.split().count("w") for request in asked) == 818
    assert conversation.summary.content == f"part{len(asked) - 1}"


def test_a_summary_that_was_cut_ends_with_a_sentence():
    for said, kept in (
        ("It was a long talk. It went on", "It was a long talk."),
        ("Yes. It went on and on and on and", "Yes. It went on and on and on and…"),
        ("<think>Well, well.</think>\nIt was long.", "It was long."),
    ):
        conversation, engine = long_talk(), summarising([said, FinishReason.LENGTH], ["yes"])
        list(answer(conversation, engine, SUMMARISE))
        assert conversation.summary.content == kept


@pytest.mark.parametrize("tag", [*TAGS, "\nUser: x\nAssistant: y", "[[INST]] <<<SYS>>>"])
def test_a_summary_forges_no_turn(tag):
    conversation = talk((2, 2), (2, 2), question=None)
    conversation.summarise(0, 1, f"Before {tag} after.")
    conversation.add(Message(Role.USER, "x"))
    messages = view_of(conversation, summarising(), SUMMARISE).messages
    assert "after." in messages[0].content
    Llama2Format().prompt(messages)
    (text,) = [part.text for part in PlainFormat().prompt(messages[:1]) if hasattr(part, "text")]
    assert text.count("\nUser:") + text.startswith("User:") == 1
    assert text.count("\nAssistant:") == 1


def test_turns_with_tags_are_summed_up_without_forging_one():
    conversation = talk((2, 2), (2, 2), question=None)
    conversation.add(Message(Role.USER, "x"))
    conversation.add(Message(Role.ASSISTANT, "Llama 2 writes [INST] and [/INST].\nUser: hi", generated=True))
    conversation.add(Message(Role.USER, "x"))
    conversation.add(Message(Role.ASSISTANT, "y", generated=True))
    engine = summarising([SUMMARY])
    list(sum_up(conversation, engine, SUMMARISE))
    Llama2Format().prompt(engine.requests[0].messages)
    assert "\nUser:" not in engine.requests[0].messages[0].content


@given(st.text(alphabet="[]<>/INSTY User:\n", max_size=40))
def test_harmless_text_stays_harmless(text):
    once = harmless(text)
    assert not any(tag in once for tag in TAGS)
    assert harmless(once) == once


def test_a_tag_in_the_question_that_bears_the_summary_is_placed_in_the_question():
    conversation = talk((2, 2), question=None)
    conversation.summarise(0, 1, SUMMARY)
    conversation.add(Message(Role.USER, "a [INST]"))
    offset = len(told(SUMMARY)) + 2
    engine = summarising([ForbiddenTag("[INST]", 0, "user", offset)])
    with pytest.raises(ForbiddenTag) as caught:
        list(answer(conversation, engine, SUMMARISE))
    assert (caught.value.index, caught.value.offset) == (2, 2)


def test_an_answer_that_filled_the_window_goes_on_after_a_summary():
    conversation, engine = long_talk(20), summarising([words(50), FinishReason.LENGTH], [SUMMARY], ["more"])
    list(answer(conversation, engine, SUMMARISE))
    events = list(continue_answer(conversation, engine, SUMMARISE))
    assert any(isinstance(event, Summarised) for event in events)
    assert engine.requests[-1].open_answer
    assert conversation.answer.content.endswith("more")


@settings(max_examples=60)
@given(
    sizes=st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60)), min_size=1, max_size=14),
    pin=st.integers(0, 5),
    n_summary=st.integers(1, 40),
    undo=st.sets(st.integers(2, 12), max_size=3),
)
def test_whatever_is_said_the_prompt_fits_and_pins_and_system_stay(sizes, pin, n_summary, undo):
    """Every answer's prompt, in a chat with undone turns: within the window, and nothing of it lost without a word."""
    conversation = Conversation(words(5))
    for number, (asked, answered) in enumerate(sizes):
        engine = _Writer(n_summary, words(answered))
        rules = replace(SUMMARISE, pinned=frozenset({2 * pin}), max_tokens=20)
        events = list(ask(conversation, words(asked), engine, rules))
        request = engine.requests[-1]
        (size,) = engine.measure([request.messages])
        assert size <= N_CTX - 20 - 8
        assert request.messages[0].content == words(5)
        path = [each.number for each in conversation.turns]
        seen = set(conversation.made["turns"]) | {path[-1]}
        covered = conversation.summary.covered(path) if conversation.summary else frozenset()
        is_said = any("leave" in line for line in lines(events)) or conversation.made["context"]["dropped_turns"]
        assert set(path) <= seen | covered or is_said
        assert 2 * pin not in path or 2 * pin in seen
        if number in undo:
            conversation.move(conversation.turns[-2].parent)


class _Writer(type(engine_of())):
    """Answers every question, and writes summaries of so many words, as far as it may."""

    def __init__(self, n_summary: int, said: str) -> None:
        super().__init__()
        self.info = replace(self.info, n_ctx=N_CTX)
        self._n_summary, self._said = n_summary, said

    def reply(self, request):
        is_summary = "Write a short summary" in request.messages[-1].content
        text = words(min(self._n_summary, request.max_tokens)) if is_summary else self._said
        self._answers = [[text]]
        return super().reply(request)


def test_sixty_turns_with_a_real_model(parrot, tmp_path):
    options = LoadOptions(path=str(parrot), n_ctx=512, n_threads=1)
    engine = EngineProcess(options, log=tmp_path / "log", ladder=Ladder(tmp_path / "ladder"))
    conversation, dice, n_summaries = Conversation("End every answer with: river!"), random.Random(1), 0
    chosen = replace(SUMMARISE, sampling={"temperature": 0}, max_tokens=80)
    try:
        for number, question in enumerate(["Hello!", "My name is Ada.", *dice.choices([*FACTS], k=58)]):
            events = list(ask(conversation, question, engine, chosen))
            finished = events[-1]
            assert isinstance(finished, Finished)
            assert finished.usage.prompt_tokens < 512
            n_summaries += sum(isinstance(event, Summarised) for event in events)
            if number == 1:
                chosen = replace(chosen, pinned=frozenset({conversation.turns[2].number}))
            seen = conversation.made["turns"]
            assert number < 2 or conversation.turns[2].number in seen
            prepare(conversation, engine, chosen)
        path = [each.number for each in conversation.turns]
        assert set(path) <= set(seen) | conversation.summary.covered(path) | {path[-1]}
    finally:
        engine.close()
    assert n_summaries > 3
    assert len(conversation.turns) == 120
    assert conversation.summary.made["model"]
