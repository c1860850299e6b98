"""The slash commands, on a chat whose engine answers by script."""

from __future__ import annotations

from pathlib import Path

import pytest

from llamachat.chat.conversation import State
from llamachat.errors import EngineDied, UsageError
from llamachat.types import FinishReason
from llamachat.ui.commands.table import COMMANDS, allowed, candidates, find

CUT = FinishReason.INTERRUPTED
CODE = "Look:\n\n```python\nprint(1)\n```\n\nand\n\n```sh\nls\n```\n"


def test_every_command_has_a_name_of_its_own_and_help():
    names = [command.name for command in COMMANDS]
    assert len(set(names)) == len(names)
    assert all(command.help and not command.help.endswith(".") for command in COMMANDS)


def test_a_beginning_that_fits_one_command_is_that_command():
    assert find("he").name == "help"
    assert find("mod").name == "model"


@pytest.mark.parametrize(
    ("typed", "advice"),
    [("modle", "/model"), ("sy", ""), ("ex", "/export or /exit"), ("xyzzy", "All commands: /help")],
)
def test_a_name_that_fits_none_or_several_is_answered_with_the_nearest(typed, advice):
    if not advice:
        assert find(typed).name == "system"
        return
    with pytest.raises(UsageError) as caught:
        find(typed)
    assert advice in caught.value.hint


@pytest.mark.parametrize("name", ["retry", "continue", "edit", "undo", "copy", "save", "thoughts"])
def test_a_command_that_makes_no_sense_yet_says_why_and_is_not_offered(chat, name):
    desk = chat()
    assert desk(f"/{name} x") == ""
    assert f"/{name} makes no sense now: " in desk.shown
    assert name not in [command.name for command in allowed(desk.chat)]


def test_help_lists_what_makes_sense_now_and_names_the_rest(chat):
    desk = chat(["hello"])
    desk("/help")
    before = desk.shown
    assert "/exit" in before
    assert "Alt-Enter" in before
    assert "When they make sense: /retry /continue /edit" in before
    desk("hi")
    desk("/help")
    after = desk.shown
    assert "answer the last question again" in after
    assert "/continue" in after.partition("When they make sense:")[2]


def test_tab_offers_what_an_argument_can_be(chat):
    desk = chat(["hello"])
    assert "reviewer" in candidates(desk.chat, "preset", "")
    assert "none" in candidates(desk.chat, "preset", "")
    assert list(candidates(desk.chat, "model", "")) == ["llama-2-7b-chat", "starter"]
    assert "temperature" in candidates(desk.chat, "set", "")
    assert list(candidates(desk.chat, "copy", "")) == []
    desk("hi")
    assert list(candidates(desk.chat, "copy", "")) == ["code"]
    Path("notes.txt").write_text("x")
    assert list(candidates(desk.chat, "att", "no")) == ["notes.txt"]
    assert "notes.txt" in candidates(desk.chat, "model", "no")
    assert list(candidates(desk.chat, "xyzzy", "")) == []


def test_two_slashes_send_a_message_that_begins_with_one(chat):
    desk = chat(["a path"])
    desk("//etc/hosts is what?")
    assert desk.said() == ["/etc/hosts is what?", "a path"]


def test_a_line_of_blanks_is_nothing(chat):
    desk = chat()
    assert desk("   \n ") == ""
    assert desk.engine.requests == []


class TestAnswers:
    def test_retry_answers_again_beside_the_old_answer(self, chat):
        desk = chat(["one"], ["two"])
        desk("hi")
        old = desk.chat.conversation.leaf
        desk("/retry")
        assert desk.said() == ["hi", "two"]
        desk.chat.conversation.move(old)
        assert desk.said() == ["hi", "one"]

    def test_a_retry_that_fails_leaves_the_old_answer(self, chat):
        desk = chat(["one"], [EngineDied("the engine crashed.", restarts=True)], [CUT])
        desk("hi")
        desk("/retry")
        assert desk.said() == ["hi", "one"]
        assert "the engine crashed." in desk.shown
        assert desk("/retry") == ""
        assert desk.said() == ["hi", "one"]

    @pytest.mark.parametrize("count", ["0", "10", "x", "-1"])
    def test_retry_takes_a_number_that_a_key_can_pick(self, chat, count):
        desk = chat(["one"])
        desk("hi")
        desk(f"/retry --n {count}")
        assert "/retry takes a number of answers from 1 to 9" in desk.shown
        assert len(desk.engine.requests) == 1

    def test_continue_lets_a_stopped_answer_go_on(self, chat):
        desk = chat(["Once upon", CUT], [" a time."])
        desk("a story")
        assert "/continue goes on" in desk.shown
        desk("/continue")
        assert desk.said() == ["a story", "Once upon a time."]
        assert desk.chat.conversation.last.state is State.COMPLETE
        assert desk.engine.requests[1].open_answer
        desk("/continue")
        assert "the answer is complete." in desk.shown

    def test_undo_takes_the_last_question_back(self, chat):
        desk = chat(["one"], ["two"])
        desk("first")
        desk("second\nwith more")
        desk("/undo")
        assert "Taken back: second" in desk.shown
        assert desk.said() == ["first", "one"]
        desk("/undo")
        assert desk.said() == []

    def test_edit_gives_the_message_back_and_sends_it_in_its_place(self, chat):
        desk = chat(["one"], ["two"], ["three"])
        desk("first")
        desk("second")
        assert desk("/edit 1") == "first"
        assert desk.said() == ["first", "one", "second", "two"]
        desk("first, better")
        assert desk.said() == ["first, better", "three"]

    def test_an_edit_that_gets_no_answer_comes_back_and_changes_nothing(self, chat):
        desk = chat(["one"], [EngineDied("the engine crashed.", restarts=True)], ["two"])
        desk("first")
        desk("/edit")
        assert desk("better") == "better"
        assert desk.said() == ["first", "one"]
        desk("better")
        assert desk.said() == ["better", "two"]

    @pytest.mark.parametrize("number", ["0", "2", "x"])
    def test_edit_takes_the_number_of_a_message(self, chat, number):
        desk = chat(["one"])
        desk("first")
        assert desk(f"/edit {number}") == ""
        assert "the number of a message of yours, 1 to 1" in desk.shown

    def test_a_message_without_an_answer_comes_back(self, chat):
        desk = chat([EngineDied("the engine crashed.", restarts=True)], [CUT])
        assert desk("hi") == "hi"
        assert "your message is back in the prompt" in desk.shown
        assert desk("hi") == "hi"
        assert desk.said() == []

    def test_an_answer_that_breaks_off_in_an_error_is_kept_and_marked(self, chat):
        desk = chat(["half", EngineDied("the engine crashed.", restarts=True)], [" and whole"])
        assert desk("hi") == ""
        assert desk.said() == ["hi", "half"]
        assert desk.chat.conversation.last.state is State.ERROR
        desk("/continue")
        assert desk.said() == ["hi", "half and whole"]

    def test_new_starts_over_with_the_system_prompt(self, chat):
        desk = chat(["one"], ["two"], flags={"system": "Be brief."})
        desk("hi")
        desk("/new")
        desk("hi again")
        assert [message.content for message in desk.engine.requests[1].messages] == ["Be brief.", "hi again"]

    def test_a_fault_of_ours_costs_a_line_and_not_the_chat(self, chat):
        desk = chat([ZeroDivisionError("oops")], ["fine"])
        assert desk("hi") == "hi"
        assert "a fault: ZeroDivisionError" in desk.shown
        desk("hi")
        assert desk.said() == ["hi", "fine"]


class TestShowing:
    def test_context_counts_each_message_and_the_room(self, chat):
        desk = chat(["hello to you"], flags={"system": "Be very brief."})
        desk("hi")
        desk.shown  # noqa: B018  what came before does not matter
        desk("/context")
        lines = [line.split() for line in desk.shown.splitlines()]
        assert lines[0] == ["10", "of", "512", "tokens", "are", "in", "use."]
        assert ["system", "3", "Be", "very", "brief."] in lines
        assert ["1", "you", "1", "hi"] in lines
        assert ["1", "answer", "3", "hello", "to", "you"] in lines
        assert ["room", "502", "for", "what", "comes"] in lines

    def test_tokens_shows_the_pieces_of_a_text_or_of_the_prompt(self, chat):
        desk = chat(["hello"])
        desk("/tokens one three")
        assert "3 'one'  5 'three'" in desk.shown
        desk("/tokens")
        assert "Nothing was asked yet." in desk.shown
        desk("hi")
        desk("/tokens")
        assert "1 <user>  2 'hi'  1 <assistant>  5 'hello'" in desk.shown

    def test_thoughts_are_folded_and_can_be_read(self, chat):
        desk = chat(["<think>Let me ", "see.</think>\n\nFour."])
        desk("2+2?")
        assert desk.answers == "[3 words of thought; /thoughts shows them]\n\nFour.\n"
        desk("/thoughts")
        assert desk.answers.endswith("Let me see.\n")

    def test_statistics_come_on_request(self, chat):
        desk = chat(["hello"], ["again"])
        desk("hi")
        assert "tokens" not in desk.shown
        desk("/stats on")
        assert "written" in desk.shown
        desk("hi")
        assert "written" in desk.shown


class TestTaking:
    def test_copy_takes_the_answer_or_its_code_and_says_how(self, chat):
        desk = chat([CODE], ["no code here"])
        desk("hi")
        desk("/copy")
        assert "Copied" in desk.shown
        desk("/copy code")
        assert desk.copied == [CODE, "print(1)\n\nls\n"]
        desk("hi")
        desk("/copy code")
        assert "the last answer has no code block" in desk.shown
        desk("/copy everything")
        assert "/copy takes nothing, or code" in desk.shown

    def test_save_writes_the_answer_or_its_code(self, chat, tmp_path):
        desk = chat([CODE])
        desk("hi")
        desk("/save answer.md")
        desk("/save code script.py")
        assert (tmp_path / "answer.md").read_text() == CODE
        assert (tmp_path / "script.py").read_text() == "print(1)\n\nls\n"

    def test_save_asks_before_it_writes_over_a_file(self, chat, tmp_path):
        desk = chat(["hello"])
        (tmp_path / "there.txt").write_text("precious")
        desk("hi")
        desk.keys = ["n"]
        desk("/save there.txt")
        assert (tmp_path / "there.txt").read_text() == "precious"
        desk.keys = ["y"]
        desk("/save there.txt")
        assert (tmp_path / "there.txt").read_text() == "hello\n"

    def test_save_that_cannot_write_says_so(self, chat):
        desk = chat(["hello"])
        desk("hi")
        desk("/save no/such/folder.txt")
        assert "cannot be written: No such file or directory." in desk.shown

    def test_the_editor_and_attach_give_drafts(self, chat):
        desk = chat()
        assert desk("/editor hello") == "hello (edited)"
        assert desk("/attach notes.txt") == "@notes.txt "
        assert desk("/attach two words.txt") == '@"two words.txt" '
        desk("/attach")
        assert "/attach needs a file." in desk.shown


class TestAdjusting:
    def test_another_model_goes_on_with_the_conversation(self, chat):
        desk = chat(["one"])
        desk("hi")
        desk("/model other")
        assert desk.engine.closed
        desk("and?")
        assert desk.said() == ["hi", "one", "and?", "from the other"]

    def test_the_system_prompt_is_shown_set_and_taken_away(self, chat):
        desk = chat()
        desk("/system")
        assert "System prompt: none" in desk.shown
        desk("/system Be brief.")
        assert desk.chat.conversation.system == "Be brief."
        desk("/system off")
        assert desk.chat.conversation.system is None

    def test_raw_and_bell_are_set_in_the_chat(self, chat):
        desk = chat(["- item"], ["- item"])
        desk("hi")
        desk("/set raw on")
        desk("hi")
        assert desk.answers == "• item\n- item\n"
        desk("/set bell notify")
        assert desk.chat.choices.text("bell") == "notify"
        desk("/set bell off")
        assert desk.chat.choices.text("bell") == "off"

    def test_guessing_is_switched_off_and_on_in_the_chat(self, chat):
        desk = chat(["one"], ["two"])
        desk("/set speculate off")
        desk("hi")
        desk("/set speculate on")
        desk("hi")
        assert [request.speculate for request in desk.engine.requests] == [False, True]


def test_plain_says_who_speaks_and_where_it_ends(chat):
    desk = chat(["**hello**"], plain=True)
    desk("hi")
    assert desk.shown == "Assistant:\n(End of the answer.)\n"
    assert desk.answers == "**hello**\n"


def test_a_line_that_is_no_command_comes_back_with_the_way_to_send_it(chat):
    desk = chat(["hello"])
    assert desk("/usr/bin/python is what?") == "/usr/bin/python is what?"
    assert "begins with a slash: write two." in " ".join(desk.shown.split())
    assert desk("/retry") == ""  # a command that makes no sense now is not to be mended


def test_an_answer_that_goes_on_in_a_code_block_stays_in_it(chat):
    desk = chat(["```python\nx = 1\n", CUT], ["y = 2\n```\n\n- item"])
    desk("code")
    desk("/continue")
    assert desk.answers == "```python\nx = 1\ny = 2\n```\n\n• item\n"


def test_copy_and_save_leave_the_thoughts_out(chat):
    desk = chat(["<think>secret</think>Four."])
    desk("2+2?")
    desk("/copy")
    assert desk.copied == ["Four."]


@pytest.mark.parametrize(
    ("bell", "rings"), [("off", ""), ("ring", "\a"), ("notify", "\x1b]9;llamachat: the answer is there\a")]
)
@pytest.mark.parametrize("seconds", [9, 11])
def test_a_long_answer_rings_as_it_is_wished(chat, bell, rings, seconds):
    desk = chat(["hello"], flags={"bell": bell}, clock=iter([0, seconds]).__next__)
    desk("hi")
    shown = desk.shown
    assert ("\a" in shown) == (bell != "off" and seconds == 11)
    assert rings in shown or seconds == 9


def test_after_a_crash_the_advice_is_what_can_be_done(chat):
    desk = chat([EngineDied("the engine crashed.", restarts=True)], ["half", EngineDied("it crashed.", restarts=True)])
    desk("hi")
    assert "your message is back in the prompt" in desk.shown
    desk("hi")
    assert "/continue goes on, /retry asks once more" in " ".join(desk.shown.split())
