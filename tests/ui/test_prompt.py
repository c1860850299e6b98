"""The prompt as a whole: keys go through a pipe into a real session."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from llamachat.errors import UsageError
from llamachat.ui.completion import ChatCompleter
from tests.ui.typing import (
    ALT_ENTER,
    BACKSPACE,
    CTRL_C,
    CTRL_D,
    CTRL_J,
    EDIT,
    ENTER,
    ESCAPE,
    LEFT,
    RIGHT,
    SEND,
    TAB,
    UNFOLD,
    UP,
    desk,
    paste,
)

PAGE = "".join(f"line {number}\n" for number in range(142))


@pytest.mark.parametrize("vi", [False, True], ids=["emacs", "vi"])
@pytest.mark.parametrize(
    ("keys", "text"),
    [
        (f"hello{ENTER}", "hello"),
        (f"one{ALT_ENTER}two{ENTER}", "one\ntwo"),
        (f"one{CTRL_J}two{ENTER}", "one\ntwo"),
        (f"one\\{ENTER}two{ENTER}", "one\ntwo"),
        (f"C:\\\\{ENTER}", "C:\\\\"),
        (f"```py{ENTER}x = 1{ENTER}```{ENTER}", "```py\nx = 1\n```"),
        (f"~~~{ENTER}```{ENTER}~~~{ENTER}", "~~~\n```\n~~~"),
        (f'"""{ENTER}one{ENTER}two{ENTER}"""{ENTER}', "one\ntwo"),
        (f'"""one ``` two"""{ENTER}', "one ``` two"),
        (f'""""""{ENTER}', ""),
        (f"```{ENTER}no end{SEND}", "```\nno end"),
        (f'"""no end{SEND}', '"""no end'),
        (f"half\\{SEND}", "half\\"),
        (f"a\tb{ENTER}".replace("\t", paste("\t")), "a\tb"),
    ],
)
def test_enter_sends_what_is_complete_and_breaks_the_line_of_what_is_not(vi, keys, text):
    with desk(vi=vi) as chat:
        assert chat.text(keys) == text


def test_what_comes_after_enter_is_the_next_message():
    with desk() as chat:
        assert chat.text(f"one{ENTER}two{ENTER}") == "one"
        assert chat.text("") == "two"


def test_in_vi_escape_leaves_insert_mode_at_once_and_enter_sends_from_there_even_an_open_block():
    with desk(vi=True) as chat:
        assert chat.text(f"```{ENTER}hello{ESCAPE}xp{ENTER}") == "```\nhello"
        assert chat.text(f"one{ESCAPE}0iX{ENTER}") == "Xone"


def test_the_mode_of_vi_can_be_told():
    with desk(vi=True, toolbar=lambda: [("", f"mode: {chat.prompt.mode}")]) as chat:
        keys = [("insert", f"a{ESCAPE}"), ("normal", "v"), ("visual", f"{ESCAPE}R"), ("replace", f"x{ESCAPE}{SEND}")]
        assert chat.dialog("b", *keys).text == "bx"
    with desk() as chat:
        assert chat.prompt.mode == ""


def test_a_long_paste_is_shown_folded_sent_whole_and_known_as_pasted():
    with desk() as chat:
        typed = chat.read(f"see {paste(PAGE)} now{ENTER}")
        assert typed.text == f"see {PAGE} now"
        assert typed.pasted == ((4, 4 + len(PAGE)),)
        assert "see [142 lines pasted] now" in chat.screen.text
        assert "line 7" not in chat.screen.text


@pytest.mark.parametrize(("keys", "text"), [(BACKSPACE, "ab"), (f"{LEFT}{BACKSPACE}", "a{}b"), (f"{LEFT}x", "axb")])
def test_a_fold_is_one_thing_to_the_cursor(keys, text):
    with desk() as chat:
        shown = f"a{paste(PAGE)}b{LEFT}"
        expected = {"ab": "ab", "a{}b": f"{PAGE}b", "axb": f"ax{PAGE}b"}[text]
        assert chat.text(f"{shown}{keys}{ENTER}") == expected


def test_a_fold_is_unfolded_by_a_key_and_is_the_users_text_then():
    with desk() as chat:
        typed = chat.read(f"a{paste(PAGE)}{UNFOLD}b{ENTER}")
        assert typed.text == f"a{PAGE}b"
        assert typed.pasted == ()
        assert "line 141" in chat.screen.text


def test_a_short_paste_stays_in_sight_and_one_of_a_single_long_line_does_not():
    with desk() as chat:
        assert chat.text(paste("one\r\ntwo\rthree\n") + ENTER) == "one\ntwo\nthree\n"
        assert chat.text(f"{paste('x' * 1234)}{ENTER}") == "x" * 1234
        assert "[1,234 characters pasted]" in chat.screen.text


def test_ten_thousand_lines_arrive_whole():
    text = "".join(f"{number} Grüße, 世界\n" for number in range(10_000))
    with desk() as chat:
        assert chat.dialog("", ("›", f"{paste(text)}{ENTER}")).text == text
        assert "[10,000 lines pasted]" in chat.screen.text


def test_escapes_in_a_paste_do_not_act_on_the_terminal_folded_or_not():
    attack = "\x1b]0;title\x07\x1b[2J\x00\x9b31mtext"
    with desk() as chat:
        assert chat.text(f"{paste(attack)}{ENTER}") == "]0;title[2J\x9b31mtext"
        assert chat.text(f"{paste(attack * 300)}{UNFOLD}{ENTER}") == "]0;title[2J\x9b31mtext" * 300
        assert chat.screen.screen.title == ""
        assert "\x9b" not in chat.screen.raw


@pytest.mark.parametrize("character", ["\U000f0000", "\U0010fffd", "\ue000", "\ufffd"])
def test_a_private_character_of_the_users_own_is_itself(character):
    with desk() as chat:
        typed = chat.read(f"{paste(character)}{character}{paste(PAGE)}{ENTER}")
        assert typed.text == character * 2 + PAGE
        assert typed.pasted == ((2, 2 + len(PAGE)),)


def test_a_paste_into_a_block_or_with_a_fence_in_it_does_not_keep_the_draft_open():
    with desk() as chat:
        assert chat.text(f"look {paste('```' + PAGE)}{ENTER}") == f"look ```{PAGE}"


def test_ctrl_c_clears_what_is_there_keeps_it_in_the_history_and_at_an_empty_prompt_it_is_the_chats():
    with desk() as chat:
        assert chat.text(f"half a thought{CTRL_C}other{ENTER}") == "other"
        assert chat.text(f"{UP}{UP}{ENTER}") == "half a thought"
        with pytest.raises(KeyboardInterrupt):
            chat.text(CTRL_C)


def test_ctrl_d_deletes_and_leaves_at_an_empty_prompt():
    with desk() as chat:
        assert chat.text(f"ab\x01{CTRL_D}{ENTER}") == "b"
        with pytest.raises(EOFError):
            chat.text(CTRL_D)


def test_up_and_down_move_in_the_draft_first():
    with desk() as chat:
        chat.text(f"before{ENTER}")
        assert chat.text(f"one{CTRL_J}two{UP}X{ENTER}") == "oneX\ntwo"


def test_ctrl_r_finds_and_enter_takes_what_was_found():
    with desk() as chat:
        for message in ("alpha one", "beta two", "gamma three"):
            chat.text(f"{message}{ENTER}")
        assert chat.text(f"\x12beta{ENTER}{ENTER}") == "beta two"


@pytest.mark.parametrize("key", [RIGHT, "\x05", "\x06"])
def test_a_suggestion_from_the_history_is_taken_whole(key):
    with desk() as chat:
        chat.text(f"tell me about the sea{ENTER}")
        chat.wipe()
        assert chat.dialog("tell", ("tell me about the sea", f"{key}{ENTER}")).text == "tell me about the sea"


def test_alt_f_takes_a_word_of_a_suggestion():
    with desk() as chat:
        chat.text(f"tell me about the sea{ENTER}")
        chat.wipe()
        assert chat.dialog("tell m", ("tell me about the sea", f"\x1bf{ENTER}")).text == "tell me "


def test_ctrl_l_clears_the_screen():
    with desk() as chat:
        chat.text(f"first{ENTER}")
        chat.text(f"\x0c{ENTER}")
        assert "first" not in chat.screen.text


def test_the_editor_gets_the_whole_draft_and_what_it_leaves_is_a_draft():
    with desk() as chat:
        assert chat.text(f"about {paste(PAGE)}{EDIT}!{ENTER}") == f"ABOUT {PAGE.upper()}!"
        assert chat.edits == [f"about {PAGE}"]
        assert "written]!" in chat.screen.text


def test_pastes_that_the_editor_left_alone_are_folded_again():
    with desk() as chat:
        chat.editor = lambda text: f"new {text}"
        typed = chat.read(f"{paste(PAGE)}{EDIT}{ENTER}")
        assert typed.text == f"new {PAGE}"
        assert typed.pasted == ((4, 4 + len(PAGE)),)


def test_without_an_editor_the_draft_stays_and_one_line_says_so():
    def none(text: str) -> str:
        raise UsageError("there is no editor to open.", "Name one.")

    with desk(edit=none) as chat:
        assert chat.text(f"draft{EDIT}!{ENTER}") == "draft!"
        assert chat.said == ["there is no editor to open. Name one."]


def test_a_draft_is_there_to_be_edited_and_folded_if_it_is_long():
    with desk() as chat:
        assert chat.text(f"!{ENTER}", draft="again") == "again!"
        assert chat.text(f"!{ENTER}", draft=PAGE) == f"{PAGE}!"
        assert "[142 lines written]!" in chat.screen.text


def test_a_message_that_comes_back_looks_as_it_did_and_its_pastes_stay_pastes():
    with desk() as chat:
        sent = chat.read(f"{'word ' * 250}{paste(PAGE)}{ENTER}")
        chat.wipe()
        again = chat.read(f"!{ENTER}", draft=sent.text)
        assert again.text == f"{sent.text}!"
        assert again.pasted == sent.pasted
        assert chat.screen.text.startswith("› word word")
        assert chat.screen.text.endswith("[142 lines pasted]!")
        assert chat.text(f'""""""{ENTER}') == ""
        assert chat.text(f"new{ENTER}") == "new"


@pytest.mark.parametrize(("keys", "answer"), [("y", "y"), ("Y", "y"), ("xq\x1b[Ay", "y"), (ENTER, "n")])
def test_a_question_is_answered_by_one_key(keys, answer):
    with desk() as chat:
        chat._pipe.send_text(keys)
        assert chat.prompt.choose("Attach 14 files? [y/N]", "ny") == answer
        assert f"Attach 14 files? [y/N] {answer}" in chat.screen.text


@pytest.mark.parametrize("key", [CTRL_C, ESCAPE, "\x04"])
def test_a_question_can_be_left_without_an_answer(key):
    with desk() as chat:
        chat._pipe.send_text(key)
        with pytest.raises(KeyboardInterrupt):
            chat.prompt.choose("Attach 14 files? [y/N]", "ny")


def test_tab_completes_the_beginning_all_have_and_then_offers_them():
    completer = ChatCompleter(lambda: [("preset", "x"), ("pressure", "y")], lambda name, rest: ["translator"])
    with desk(completer=completer) as chat:
        assert chat.dialog(f"/p{TAB}", ("/pressure", f"{TAB}{ENTER}{ENTER}")).text == "/preset"
        chat.wipe()
        assert chat.dialog(f"/pr{TAB}", ("/pressure", f"x{ENTER}")).text == "/presx"
        chat.wipe()
        assert chat.dialog(f"/preset t{TAB}", ("translator", ENTER)).text == "/preset translator"


def test_a_hint_says_how_to_unfold_and_how_to_get_out_of_a_block():
    hints = []
    with desk(toolbar=lambda: hints.append(chat.prompt.hint) or []) as chat:
        chat.dialog(paste(PAGE), ("lines pasted", ENTER))
        chat.dialog("```", ("› ```", SEND))
    assert "Ctrl-X Ctrl-P unfolds" in hints
    assert any("Ctrl-X Ctrl-S sends" in hint for hint in hints)


def test_plain_draws_no_toolbar_and_suggests_nothing():
    with desk(plain=True, toolbar=lambda: [("", "the toolbar")]) as chat:
        chat.text(f"tell me{ENTER}")
        assert "You: tell me" in chat.screen.text
        chat.wipe()
        assert chat.dialog("tel", ("You: tel", f"{RIGHT}{ENTER}")).text == "tel"
        assert "the toolbar" not in chat.screen.text


def test_a_terminal_that_has_no_quotation_marks_and_a_narrow_one_are_fine():
    with desk(encoding="ascii", columns=20) as chat:
        assert chat.text(f"{'word ' * 20}{ENTER}") == "word " * 20
        assert chat.screen.text.startswith("> word")


def test_ctrl_c_right_after_enter_takes_the_message_back(monkeypatch):
    with desk() as chat:
        app = chat.prompt._session.app
        finish = app.cancel_and_wait_for_background_tasks

        async def finish_interrupted() -> None:
            monkeypatch.undo()
            os.kill(os.getpid(), signal.SIGINT)  # the terminal is not raw any more: Ctrl-C is a signal
            await finish()
            chat.press(f" again{ENTER}")

        monkeypatch.setattr(app, "cancel_and_wait_for_background_tasks", finish_interrupted)
        assert chat.text(f"one{ENTER}") == "one again"


def test_a_signal_at_the_prompt_is_ctrl_c():
    with desk() as chat:
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
        assert chat.dialog("a draft", ("›\n", f"another{ENTER}")).text == "another"
        assert chat.prompt.was_cleared
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            chat.read("")


def test_a_draft_is_told_while_it_is_typed_also_after_a_prompt_that_was_left():
    told: list[str] = []
    with desk(on_draft=lambda draft: told.append(draft.text)) as chat:
        with pytest.raises(KeyboardInterrupt):
            chat.text(CTRL_C)
        typist = threading.Thread(target=lambda: [(chat.press(key), time.sleep(0.05)) for key in "a long draft"])
        typist.start()
        assert chat.dialog("", ("a long draft", ENTER)).text == "a long draft"
        typist.join()
    assert any("a long draft".startswith(draft) and 0 < len(draft) < len("a long draft") for draft in told)
