"""`/replay`: an answer made again from its record, and what differs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from llamachat.errors import EngineDied
from llamachat.types import FinishReason, Message, Role

CUT = FinishReason.INTERRUPTED
SAME = "The same, word for word."


def change_record(desk, **changes) -> None:
    """Let the last answer's record say something else."""
    conversation = desk.chat.conversation
    conversation._made[conversation.leaf] = {**conversation.made, **changes}


def test_the_same_words_are_said_to_be_the_same_and_nothing_is_added(chat):
    desk = chat(["Hello, ", "you."], ["Hello, you."], flags={"temperature": 0.5, "stop": ("X",), "max_tokens": 9})
    desk("hi")
    before = desk.chat.conversation.turns
    desk("/replay")
    assert SAME in desk.shown
    assert desk.chat.conversation.turns == before
    first, second = desk.engine.requests
    assert (second.seed, second.sampling["temperature"], second.stops, second.max_tokens) == (7, 0.5, ("X",), 9)
    assert second.messages == first.messages


def test_another_answer_is_shown_as_a_difference_with_signs_where_there_is_no_colour(chat):
    desk = chat(["A red house\nby the sea."], ["A blue house\nby the old sea."])
    desk("hi")
    desk("/replay")
    shown = desk.shown
    assert "It differs from character 3 on:" in shown
    assert "A [-red-] {+blue+} house\nby the {+old+} sea.\n" in shown


def test_a_long_text_that_is_the_same_is_cut_in_the_middle(chat):
    story = "word " * 400
    desk = chat([f"{story}red"], [f"{story}blue"])
    desk("hi")
    desk("/replay")
    shown = desk.shown
    assert "word … word" in " ".join(shown.split())
    assert shown.count("word") < 100
    assert "[-red-]{+blue+}" in shown


def test_an_earlier_answer_is_made_again_with_what_it_saw(chat):
    desk = chat(["one"], ["two"], ["one"])
    desk("first")
    desk("second")
    desk("/replay 1")
    assert SAME in desk.shown
    assert [message.content for message in desk.engine.requests[-1].messages] == ["first"]
    assert [message.content for message in desk.engine.prefilled[-1].messages][:4] == ["first", "one", "second", "two"]
    desk("/replay 3")
    assert "/replay takes the number of an answer, 1 to 2, not '3'." in desk.shown


def test_what_is_not_as_it_was_is_said_first(chat):
    desk = chat(["one"], ["one"], flags={"system": "Be brief."})
    desk("hi")
    change_record(desk, sha256="aa" * 32, quantisation="Q4_0", threads=8, exact=False, usage={"reused_tokens": 3})
    desk.engine.info = replace(desk.engine.info, sha256="bb" * 32, n_ctx=256)
    desk("/system Be long.")
    desk("/replay")
    shown = desk.shown
    for remark in (
        "another model file: scripted (aaaaaaaa) then, scripted (bbbbbbbb) now",
        "quantisation: Q4_0 then, F16 now",
        "context: 512 then, 256 now",
        "threads: 8 then, 1 now",
        "the system prompt is another than then",
        "the last bits, and so a word, may differ",
    ):
        assert remark in " ".join(shown.split())
        assert shown.index(remark[:15]) < shown.index(SAME)


def test_a_seeded_answer_is_not_doubted(chat):
    desk = chat(["one"], ["one"], flags={"seed": 3})
    desk("hi")
    desk("/replay")
    assert "may differ" not in desk.shown


def test_a_stopped_answer_is_made_as_far_as_it_went(chat):
    desk = chat(["Once upon", CUT], ["Once upon"])
    desk("a story")
    desk("/replay")
    shown = desk.shown
    assert "it broke off after 2 tokens, and so does this" in shown
    assert SAME in shown
    assert desk.engine.requests[-1].max_tokens == 2


def test_of_a_continued_answer_the_last_stretch_is_made_again(chat):
    desk = chat(["Once upon", CUT], [" a time."], [" a time."])
    desk("a story")
    desk("/continue")
    desk("/replay")
    shown = desk.shown
    assert "continued after 9 characters" in shown
    assert SAME in shown
    request = desk.engine.requests[-1]
    assert request.open_answer
    assert request.messages[-1].content == "Once upon"
    assert request.messages[-1].tokens.ids == (0, 1)


def test_words_that_came_after_the_record_ended_are_not_called_a_difference(chat):
    desk = chat(["Once upon", CUT], [" a time", EngineDied("it crashed.", restarts=True)], ["Once upon"])
    desk("a story")
    desk("/continue")
    desk("/replay")
    assert "The same as far as its record goes; 7 characters that follow have none." in desk.shown


def test_ctrl_c_stops_it_and_says_how_far_it_is_the_same(chat):
    desk = chat(["Once upon a time"], ["Once", CUT], [CUT])
    desk("a story")
    desk("/replay")
    assert "Stopped. Up to here it is the same: 4 of 16 characters." in desk.shown
    desk("/replay")
    assert "[stopped before the first word.]" in desk.shown


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"seed": None}, "has no seed"),
        ({"seed": 2**32 - 1}, "has no seed"),
        ({"turns": [0, 1], "continued": None}, "its record does not say where"),
        ({"turns": [0, 1], "continued": {"characters": 99}}, "does not fit its text"),
    ],
)
def test_a_record_that_does_not_tell_is_refused(chat, changes, line):
    desk = chat(["one"])
    desk("hi")
    change_record(desk, **changes)
    desk("/replay")
    assert line in desk.shown
    assert len(desk.engine.requests) == 1


def test_an_imported_record_that_is_nonsense_does_no_harm(chat):
    desk = chat(["one"], ["one"])
    desk("hi")
    nonsense = {"sampling": {"temperature": "hot", "logit_bias": [[1, 5]]}, "stop": 5, "turns": "all", "usage": []}
    change_record(desk, **nonsense, max_tokens=True, context=None)
    desk("/replay")
    shown = " ".join(desk.shown.split())
    assert "which turns it saw is not known" in shown
    assert "sampling that this version does not know: temperature, logit_bias" in shown
    request = desk.engine.requests[-1]
    assert (request.sampling, request.stops, request.max_tokens) == ({}, (), None)


def test_without_an_answer_of_a_model_it_makes_no_sense(chat):
    desk = chat()
    desk("/replay")
    assert "/replay makes no sense now: there is no answer yet." in desk.shown
    desk.chat.conversation.add(Message(Role.USER, "hi"))
    desk.chat.conversation.add(Message(Role.ASSISTANT, "hello", generated=True))
    desk("/replay")
    assert "what made this answer is not known." in desk.shown


def test_a_summary_that_it_saw_is_seen_again(chat):
    desk = chat(["one"], ["two"], ["two"], ["two"])
    desk("first")
    desk.chat.conversation.summarise(0, 1, "They met.", {"turns": [0, 1]})
    desk("second")
    desk("/replay")
    assert SAME in desk.shown
    before, again = (request.messages for request in desk.engine.requests[-2:])
    assert "They met." in before[0].content
    assert again == before
    desk.chat.conversation.summaries.clear()
    desk("/replay")
    assert "the summary that it saw is not here any more" in desk.shown


def test_a_hash_that_becomes_known_is_written_into_the_records_of_the_answers_before(chat):
    def hashes(desk):
        return [entry.made["sha256"] for entry in desk.store.load(desk.chat.keeping.session).branch if entry.made]

    desk = chat(["one"], ["two"], ["three"])
    desk("first")
    desk("second")
    assert hashes(desk) == [None, None]
    desk.engine.info = replace(desk.engine.info, sha256="aa" * 32)
    desk("third")
    assert hashes(desk) == ["aa" * 32] * 3
    assert desk.chat.conversation.made_of(1)["sha256"] == "aa" * 32
    numbers = [entry.turn.number for entry in desk.store.load(desk.chat.keeping.session).branch]
    assert desk.store.load(desk.chat.keeping.session).branch[3].made["turns"] == numbers[:3]


def test_a_hash_is_known_at_the_end_of_a_chat_and_never_of_answers_of_an_earlier_start(chat):
    first = chat(["one"])
    first("first")
    second = chat(["two"])
    second(f"/resume {first.chat.keeping.session}")
    second("second")
    second.engine.info = replace(second.engine.info, sha256="aa" * 32)
    second.chat.say_goodbye()
    branch = second.store.load(first.chat.keeping.session).branch
    assert [entry.made["sha256"] for entry in branch if entry.made] == [None, "aa" * 32]
