"""Conversations that are kept, at the prompt: taken up again, searched, branched, exported, or not kept at all."""

from __future__ import annotations

import json

import pytest

from llamachat.chat.conversation import Nobody, State
from llamachat.errors import EngineDied
from llamachat.types import FinishReason, Message, Role

CUT = FinishReason.INTERRUPTED


def kept(desk) -> list[tuple[str, str]]:
    """Role and text of the branch as the store has it."""
    transcript = desk.store.load(desk.chat.keeping.session)
    return [(str(entry.turn.message.role), entry.turn.message.content) for entry in transcript.branch]


def test_what_is_said_is_in_the_store_with_what_made_it(chat):
    desk = chat(["hello"], ["fine"], flags={"system": "Be brief.", "temperature": 0.5})
    desk("hi")
    desk("how are you?")
    assert kept(desk) == [("user", "hi"), ("assistant", "hello"), ("user", "how are you?"), ("assistant", "fine")]
    transcript = desk.store.load(desk.chat.keeping.session)
    assert (transcript.session.title, transcript.session.system) == ("hi", "Be brief.")
    made = transcript.branch[-1].made
    assert (made["model"], made["seed"], made["sampling"]["temperature"]) == ("scripted", 7, 0.5)
    assert made["turns"] == [entry.turn.number for entry in transcript.branch[:3]]


def test_a_question_is_in_the_store_before_the_engine_is_asked(chat):
    seen = []

    class Spy(list):
        def pop(self, place):
            seen.extend(kept(desk))
            return super().pop(place)

    desk = chat(["hello"])
    desk.engine._answers = Spy(desk.engine._answers)
    desk("hi")
    assert seen[0] == ("user", "hi")


def test_a_question_without_an_answer_stays_in_the_tree_and_comes_back(chat):
    desk = chat([EngineDied("the engine crashed.", restarts=True)], ["fine"])
    assert desk("hi") == "hi"
    assert desk.said() == []
    desk("hi again")
    desk("/tree")
    shown = desk.shown
    assert "you: hi\n" in shown
    assert "you: hi again" in shown


def test_undo_and_switch_only_move(chat):
    desk = chat(["one"], ["two"])
    desk("first")
    desk("second")
    desk("/undo")
    assert kept(desk) == [("user", "first"), ("assistant", "one")]
    desk("/switch 2")
    assert kept(desk)[-1] == ("assistant", "two")
    desk("/switch 99")
    assert "/switch takes the number of a turn, not '99'." in desk.shown


def test_a_branch_goes_on_from_an_earlier_message(chat):
    desk = chat(["one"], ["two"], ["three"])
    desk("first")
    desk("second")
    desk("/branch 1")
    desk("another second")
    assert desk.said() == ["first", "one", "another second", "three"]
    desk("/tree")
    shown = desk.shown
    assert "├ 2 you: second" in shown
    assert "└ 4 you: another second" in shown
    assert "5 answer: three <" in shown


def test_another_session_is_taken_up_where_it_stood(chat):
    first = chat(["Once upon", CUT])
    first("a story")
    second = chat(["other"], [" a time."])
    second("something else")
    second.keys = ["1"]
    second("/resume")
    assert "a story" in second.shown
    assert second.said() == ["a story", "Once upon"]
    assert second.chat.conversation.last.state is State.INTERRUPTED
    second("/continue")
    assert kept(second) == [("user", "a story"), ("assistant", "Once upon a time.")]


def test_a_session_is_taken_up_by_the_beginning_of_its_id(chat):
    first = chat(["hello"])
    first("hi")
    second = chat()
    second(f"/resume {first.chat.keeping.session[:8]}")
    assert second.said() == ["hi", "hello"]
    second("/resume zzzzzz")
    assert "llamachat sessions list" in second.shown


def test_sessions_are_listed_searched_and_named(chat):
    desk = chat(["라마를 보았다"], ["fine"])
    desk("/title too early")
    assert "nothing was said yet." in desk.shown
    desk("hi")
    desk("/title About llamas")
    desk("/sessions")
    assert "About llamas" in desk.shown
    desk("/search 라마")
    assert "라마를 보았다" in desk.shown
    desk("/search")
    assert "/search needs words." in desk.shown


@pytest.mark.parametrize("suffix", ["md", "json", "txt", "html"])
def test_a_conversation_is_exported_in_the_format_its_file_names(chat, tmp_path, suffix):
    desk = chat(["hello"])
    desk("hi")
    desk(f"/export chat.{suffix}")
    text = (tmp_path / f"chat.{suffix}").read_text()
    assert "hello" in text
    if suffix == "json":
        assert [message["content"] for message in json.loads(text)["messages"]] == ["hi", "hello"]
    desk("/export chat.doc")
    assert "whose name ends in .md, .json, .txt or .html" in desk.shown


def test_a_private_chat_writes_nothing(chat):
    desk = chat(["kept"], ["secret answer"], ["kept again"])
    desk("hi")
    desk("/private")
    desk("secret question")
    assert desk.said() == ["secret question", "secret answer"]
    desk("/title x")
    assert "this chat is private." in desk.shown
    assert desk.recorded[-1] is False
    assert desk.store.search("secret") == []
    assert desk.chat.toolbar().preset.endswith(", private")
    desk("/private off")
    desk("hi")
    assert desk.recorded[-1] is True
    assert len(desk.store.sessions()) == 2


def test_what_a_private_chat_evaluates_is_not_kept_either(chat):
    desk = chat(["kept"], ["secret answer"], ["kept again"])
    desk("hi")
    session = desk.chat.keeping.session
    desk("/private")
    desk("secret question")
    desk("/private off")
    desk("hi")
    assert [request.owner for request in desk.engine.requests] == [session, None, desk.chat.keeping.session]
    assert session is not None


def test_saving_can_be_off_from_the_start(chat):
    desk = chat(["hello"], flags={"sessions.save": False})
    desk("hi")
    assert desk.store.sessions() == []
    desk.chat.say_goodbye()
    assert "llamachat -c" not in desk.shown


def test_leaving_says_how_to_come_back(chat):
    desk = chat(["hello"])
    desk.chat.say_goodbye()
    assert desk.shown == ""
    desk("hi")
    desk.chat.say_goodbye()
    assert "To go on with this chat: llamachat -c" in desk.shown


def test_leaving_a_chat_that_was_removed_says_so(chat):
    desk = chat(["hello"])
    desk("hi")
    desk.store.remove([desk.chat.keeping.session])
    desk.chat.say_goodbye()
    assert "This chat was removed meanwhile." in desk.shown
    assert "llamachat -c" not in desk.shown


def test_why_tells_what_made_the_answer(chat):
    desk = chat(["hello"])
    desk("hi")
    desk("/why")
    shown = desk.shown
    assert "scripted" in shown
    assert "seed" in shown
    assert "max_tokens" not in shown  # there was no limit


def test_a_private_chat_that_takes_up_another_writes_nothing_to_it(chat):
    first = chat(["hello"])
    first("hi")
    session = first.chat.keeping.session
    second = chat(["secret answer"], flags={"sessions.save": False})
    second(f"/resume {session}")
    second("secret question")
    assert second.said() == ["hi", "hello", "secret question", "secret answer"]
    assert second.store.search("secret") == []
    assert True not in second.recorded


def test_what_could_not_be_saved_is_exported_all_the_same(chat, tmp_path):
    desk = chat(["one"], ["two"])
    desk("first")
    desk.store.remove([desk.chat.keeping.session])
    desk("second")
    desk("/export chat.txt")
    assert "two" in (tmp_path / "chat.txt").read_text()


@pytest.mark.parametrize(
    "made", [{}, {"model": {"name": "gpt-4"}}, {"path": "scripted.gguf", "context": {"size": 512}}]
)
def test_what_an_import_says_of_how_an_answer_was_made_cannot_break_the_toolbar(chat, made):
    desk = chat(["one"])
    desk("first")
    desk.chat.conversation.end_answer(desk.chat.conversation.answer, State.COMPLETE, made)
    assert desk.chat.toolbar().context.used == 0
    desk("/why")


def test_a_tree_of_a_thousand_forks_is_drawn(chat):
    desk = chat(*[["answer"]] * 2000)
    desk.chat.conversation.keeper = Nobody()
    for _ in range(1000):
        desk.chat.conversation.add(Message(Role.USER, "q"))
        fork = desk.chat.conversation.leaf
        desk.chat.conversation.add(Message(Role.ASSISTANT, "a"))
        desk.chat.conversation.move(fork)
        desk.chat.conversation.add(Message(Role.ASSISTANT, "b"))
    desk.chat.keeping = None
    desk("/tree")
    lines = desk.shown.splitlines()
    assert len(lines) >= 3000
    assert max(map(len, lines)) < 80


def test_a_one_shot_that_is_gone_on_with_is_a_chat(chat):
    desk = chat(["hello"])
    session = desk.store.create("Hi", one_shot=True).id
    desk.store.add(session, None, Message(Role.USER, "Hi"))
    assert desk.store.latest() is None
    desk(f"/resume {session}")
    assert desk.store.latest().id == session
