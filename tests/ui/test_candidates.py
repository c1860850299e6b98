"""`/retry --n`: answers made side by side, shown one after another, and one of them picked by a key."""

from __future__ import annotations

import signal

import pytest

from llamachat.chat.conversation import State
from llamachat.errors import EngineDied
from llamachat.types import FinishReason

CUT = FinishReason.INTERRUPTED
FULL = FinishReason.LENGTH


def siblings(desk) -> list[tuple[str, str]]:
    """All answers to the first question: text and state."""
    answers = desk.chat.conversation.children()[desk.chat.conversation.questions[0].number]
    return [(answer.message.content, answer.state.value) for answer in answers]


def kept(desk) -> list[tuple[str, str]]:
    """The same from the disk."""
    transcript = desk.store.load(desk.store.sessions()[0].id)
    return [(entry.turn.message.content, entry.turn.state.value) for entry in transcript.entries[1:]]


def test_of_several_answers_the_user_picks_one(chat):
    desk = chat(["zero"], ["one"], ["two"], ["three"])
    desk("hi")
    desk.keys = ["2"]
    desk("/retry --n 3")
    assert desk.asked == ["Keep which? [1/2/3]"]
    assert desk.said() == ["hi", "two"]
    assert siblings(desk) == [(text, "complete") for text in ("zero", "one", "two", "three")]
    assert kept(desk) == siblings(desk)


def test_they_are_one_request_and_the_next_question_follows_the_one_that_was_picked(chat):
    desk = chat(["zero"], ["one"], ["two"], ["more"], flags={"seed": 7})
    desk("hi")
    desk.keys = ["2"]
    desk("/retry 2")
    desk("go on")
    assert [(request.seed, request.n) for request in desk.engine.requests] == [(7, 1), (7, 2), (7, 1)]
    assert [message.content for message in desk.engine.requests[-1].messages] == ["hi", "two", "go on"]


@pytest.mark.parametrize("plain", [False, True])
def test_answers_that_come_mixed_are_shown_one_after_another(chat, plain):
    desk = chat(["zero"], ["a ", "b ", "c"], ["d ", "e"], ["f ", "g ", "h ", "i"], plain=plain)
    desk("hi")
    before = len(desk.answers)
    desk("/retry --n 3")
    assert desk.answers[before:].split() == list("abcdefghi")
    shown = desk.shown
    assert [shown.index(f"{count} of 3") for count in (1, 2, 3)] == sorted(
        shown.index(f"{count} of 3") for count in (1, 2, 3)
    )
    assert shown.count("(End of the answer.)") == (4 if plain else 0)


def test_what_is_held_of_an_answer_is_formatted_as_the_first_is(chat):
    desk = chat(["zero"], ["- *one*"], ["- *two*"], ["- *three*"])
    desk("hi")
    desk("/retry --n 3")
    assert "- " not in desk.answers
    assert desk.answers.count("• ") == 3


def test_the_first_word_is_on_the_screen_before_the_last_has_come(chat):
    desk = chat(["zero"], ["first words ", "and more", "."], ["second", "."])
    seen = []
    desk("hi")
    reply = desk.engine.reply

    def watched(request):
        for event in reply(request):
            seen.append("first" in desk.answers)
            yield event

    desk.engine.reply = watched
    desk("/retry --n 2")
    assert seen[0] is False
    assert seen.index(True) < 4


def test_each_grows_on_the_disk_while_another_is_shown(chat):
    desk = chat(["zero"], ["a", "b", "c"], ["d", "e", "f"])
    desk("hi")
    reply, states = desk.engine.reply, []

    def watched(request):
        for event in reply(request):
            states.append([state for _, state in kept(desk)[1:]])
            yield event

    desk.engine.reply = watched
    desk("/retry --n 2")
    assert states[0] == ["streaming", "streaming"]
    assert [text for text, _ in kept(desk)] == ["zero", "abc", "def"]


def test_each_answer_has_its_own_record(chat):
    desk = chat(["zero"], ["one"], ["two"])
    desk("hi")
    desk("/retry --n 2")
    entries = desk.store.load(desk.store.sessions()[0].id).entries[2:]
    assert [(entry.made["seed"], entry.made["candidate"]["number"]) for entry in entries] == [(7, 1), (8, 2)]
    assert all(entry.made["candidate"]["of"] == 2 for entry in entries)


def test_what_was_stopped_is_shown_and_kept_and_can_be_picked(chat):
    desk = chat(["zero"], ["on", CUT], ["two"], ["thr", CUT])
    desk("hi")
    desk.keys = ["3"]
    desk("/retry --n 3")
    assert desk.asked == ["Keep which? [1/2/3]"]
    assert desk.said() == ["hi", "thr"]
    assert siblings(desk)[1:] == [("on", "interrupted"), ("two", "complete"), ("thr", "interrupted")]
    assert desk.shown.count("[stopped; what was said is kept") == 2


def test_an_answer_of_which_nothing_came_is_not_offered(chat):
    desk = chat(["zero"], ["one"], [CUT], ["three"])
    desk("hi")
    desk.keys = ["3"]
    desk("/retry --n 3")
    assert desk.asked == ["Keep which? [1/3]"]
    assert "2 of 3" not in desk.shown
    assert desk.said() == ["hi", "three"]
    assert len(siblings(desk)) == 3


def test_one_that_is_alone_needs_no_key(chat):
    desk = chat(["zero"], [CUT], ["two"])
    desk("hi")
    desk("/retry --n 2")
    assert desk.asked == []
    assert desk.said() == ["hi", "two"]


def test_a_series_that_was_stopped_before_the_first_word_leaves_the_old_answer(chat):
    desk = chat(["zero"], [CUT], [CUT])
    desk("hi")
    desk("/retry --n 2")
    assert "stopped before the first word" in desk.shown
    assert desk.said() == ["hi", "zero"]
    assert siblings(desk) == [("zero", "complete")] == kept(desk)


def test_an_engine_that_dies_costs_a_line_and_leaves_all_that_was_said(chat):
    desk = chat(["zero"], ["one", "."], ["two", EngineDied("the engine crashed.", restarts=True)], ["three"])
    desk("hi")
    desk("/retry --n 3")
    shown = desk.shown
    assert all(word in desk.answers for word in ("one.", "two", "three"))
    assert shown.count("[it broke off here") == 3
    assert shown.index("3 of 3") < shown.index("the engine crashed.")
    assert "/continue goes on" in " ".join(shown.split("the engine crashed.")[1].split())
    assert desk.asked == []
    assert siblings(desk)[1:] == [("one.", "error"), ("two", "error"), ("three", "error")] == kept(desk)[1:]
    assert desk.said() == ["hi", "one."]


def test_an_error_before_the_first_word_leaves_the_old_answer(chat):
    desk = chat(["zero"], [EngineDied("the engine crashed.", restarts=True)], ["two"])
    desk("hi")
    desk("/retry --n 2")
    assert desk.said() == ["hi", "zero"]
    assert siblings(desk) == [("zero", "complete")]


def test_a_full_context_is_said_where_the_answers_filled_it(chat):
    desk = chat(["zero"], ["one", FULL], ["two", FULL])
    desk("hi")
    desk("/retry --n 2")
    assert " ".join(desk.shown.split()).count("[cut: the answers have filled the context of 512 tokens") == 2


def test_a_limit_of_tokens_is_said_where_it_was_that(chat):
    desk = chat(["zero"], ["one", FULL], ["two", FULL], flags={"max_tokens": 1})
    desk("hi")
    desk("/retry --n 2")
    assert desk.shown.count("[cut: the limit of tokens was reached") == 2


def test_the_one_that_was_picked_is_what_the_statistics_are_of(chat):
    desk = chat(["zero"], ["one"], ["one two three"])
    desk("hi")
    desk.keys = ["2"]
    desk("/retry --n 2")
    assert desk.chat.last.usage.completion_tokens == 3


def test_ctrl_c_reaches_the_engine_while_any_of_them_is_shown(chat):
    desk = chat(["zero"], ["one"], ["two ", "more"])
    desk("hi")
    reply, interrupts = desk.engine.reply, []
    desk.engine.interrupt = lambda: interrupts.append(len(desk.answers))

    def pressed(request):
        for event in reply(request):
            signal.raise_signal(signal.SIGINT)
            yield event

    desk.engine.reply = pressed
    desk("/retry --n 2")
    assert len(interrupts) == 5
    assert desk.said() == ["hi", "one"]


def test_a_consumer_that_stops_marks_what_came(chat):
    """As when the terminal is gone."""
    desk = chat(["zero"], ["one", "."], ["two", "."])
    desk("hi")
    answering = desk.chat.screen.answering

    def broken(before=""):
        raise OSError("no terminal")

    desk.chat.screen.answering = broken
    desk("/retry --n 2")
    desk.chat.screen.answering = answering
    assert desk.said() == ["hi", "zero"]
    assert State.STREAMING not in {state for _, state in siblings(desk)}
