"""What was typed before: in this session, in others, before today."""

from __future__ import annotations

import stat
import threading

import pytest
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory

from llamachat.ui.history import History, SuggestFromHistory
from tests.ui.typing import CTRL_J, DOWN, ENTER, UP, desk

PAGE = "".join(f"line {number}\n" for number in range(142))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "history"


def entries(path) -> list[str]:
    return History(path).load_history_strings()


def test_entries_of_several_lines_are_whole_and_the_file_is_private(path):
    with desk(path) as chat:
        chat.text(f"one{CTRL_J}two{ENTER}")
    assert entries(path) == ["one\ntwo"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with desk(path) as chat:
        assert chat.dialog("", ("›", f"{UP}"), ("two", ENTER)).text == "one\ntwo"


def test_the_format_is_prompt_toolkits(path):
    path.parent.mkdir()
    FileHistory(path).store_string("older\nentry")
    History(path).record("newer\n+entry")
    assert list(FileHistory(path).load_history_strings()) == ["newer\n+entry", "older\nentry"]
    assert entries(path) == ["newer\n+entry", "older\nentry"]


def test_what_another_terminal_sent_is_there_at_the_next_prompt(path):
    with desk(path) as here, desk(path) as there:
        here.text(f"from here{ENTER}")
        there.text(f"from there{ENTER}")
        assert (
            here.dialog("", ("›", UP), ("› from there", UP), ("› from here", f"{DOWN}!{ENTER}")).text == "from there!"
        )


def test_two_terminals_that_write_at_once_do_not_mix_their_lines(path):
    histories = [History(path), History(path)]
    messages = [[f"{name}{number}\nsecond of {name}{number}" for number in range(200)] for name in "ab"]

    def write(history, texts):
        for text in texts:
            history.record(text)

    threads = [threading.Thread(target=write, args=pair) for pair in zip(histories, messages, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(entries(path)) == sorted(messages[0] + messages[1])


def test_the_same_again_is_stored_once_and_an_old_entry_moves_to_the_top(path):
    history = History(path)
    for text in ("a", "a", "b", "", "  ", "a"):
        history.record(text)
    assert path.read_text().count("\n+") == 3
    assert entries(path) == ["a", "b"]


def test_what_is_not_recorded_is_there_for_this_session_alone(path):
    history = History(path)
    history.record("before")
    history.recording = False
    history.record("secret")
    assert history.load_history_strings() == ["secret", "before"]
    assert entries(path) == ["before"]


@pytest.mark.parametrize("damage", [b"\xff\xfe\x00garbage\n+\xff\n", b"\n# then\n+no line end", b"\x00" * 1000])
def test_a_damaged_file_is_read_as_far_as_it_can_be_and_goes_on(path, damage):
    path.parent.mkdir()
    path.write_bytes(b"\n# today\n+good\n" + damage)
    history = History(path)
    history.record("new")
    assert {"good", "new"} <= set(entries(path))
    assert not history.take_trouble()


def test_a_file_that_cannot_be_used_costs_one_remark_and_the_session_remembers(path):
    path.mkdir(parents=True)  # a folder, which root cannot write either
    with desk(path) as chat:
        assert chat.text(f"one{ENTER}") == "one"
        assert chat.text(f"two{ENTER}") == "two"
        assert chat.dialog("", ("›", UP), ("› two", ENTER)).text == "two"
        assert [said.count("history") for said in chat.said] == [2]  # the word, and the file's name


def test_a_file_that_was_replaced_is_read_anew(path):
    history = History(path)
    history.record("old " * 20)
    path.unlink()
    History(path).record("new")
    assert history.load_history_strings()[0] == "new"


def test_a_long_entry_is_folded_when_it_is_recalled_and_stored_whole(path):
    History(path).record(f"about {PAGE}")
    with desk(path) as chat:
        typed = chat.dialog("", ("›", UP), ("[142 lines recalled]", f"!{ENTER}"))
        assert typed.text == f"about {PAGE}!"
        assert typed.pasted == ((0, len(typed.text) - 1),)
    assert entries(path)[0] == f"about {PAGE}!"


def test_a_long_draft_of_ones_own_is_not_folded_while_it_is_written(path):
    History(path).record("before")
    with desk(path) as chat:
        chat.dialog("", ("›", f"{CTRL_J.join('abcdefghij')}{ENTER}"))
        assert "recalled" not in chat.screen.text


def test_ctrl_r_finds_what_is_inside_a_long_entry(path):
    History(path).record(PAGE)
    History(path).record("after")
    with desk(path) as chat:
        assert chat.dialog("", ("›", "\x12line 77"), ("line 77", f"{ENTER}"), ("recalled", ENTER)).text == PAGE


def test_fifty_thousand_entries_are_all_there(path):
    path.parent.mkdir()
    path.write_text("".join(f"\n# then\n+message {number}\n" for number in range(50_000)))
    with desk(path) as chat:
        keys = [("›", "\x12message 7\x12"), ("message 49997", ENTER), ("› message", ENTER)]
        assert chat.dialog("", *keys).text.startswith("message ")
        assert len(chat.history.newest_first) == 50_000


def test_the_newest_entry_that_begins_like_the_draft_is_suggested():
    history = History(None)
    for text in ("tell me a joke", "tell me all\nof it", "x" * 2000, "tell"):
        history.record(text)
    suggest = SuggestFromHistory(history)

    def rest(text):
        found = suggest.get_suggestion(None, Document(text))
        return found and found.text

    assert [rest("t"), rest("te"), rest("tell"), rest("tell m"), rest("tell me a ")] == [
        "ell",
        "ll",
        " me all",
        "e all",
        "joke",
    ]
    assert [rest("tell me a "), rest("tell me b"), rest("tell me b "), rest("x"), rest("t")] == [
        "joke",
        None,
        None,
        None,
        "ell",
    ]
    history.record("x marks")
    assert rest("x") == " marks"
