"""What the terminal sends: keys, pastes, its own reports; and whether it is light or dark."""

from __future__ import annotations

import os
import sys
import time
from contextlib import nullcontext
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.input.vt100_parser import Vt100Parser
from prompt_toolkit.keys import Keys

from llamachat.environment import Environment
from llamachat.ui.background import can_be_asked, guess, reported
from llamachat.ui.keyboard import BareKeyboard, open_keyboard
from llamachat.ui.keystream import Parser, Reports
from llamachat.ui.theme import Background
from tests.ui.typing import paste

PIECES = ["a", "é", "\r", "\x1b[A", "\x1b", "\x1b[1;5C", "\x1b]11", "]", "11;", "\x1bOP", "\x03", "\x1b[5;7R"]
REPORT = "rgb:1e1e/1e1e/1e1e"


def keys_of(chunks, parser_class=Parser):
    keys = []
    parser = parser_class(keys.append)
    for chunk in chunks:
        parser.feed(chunk)
    parser.flush()
    return [(key.key, key.data) for key in keys]


def cut(text, places):
    edges = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[start:end] for start, end in pairwise(edges)]


@given(st.lists(st.one_of(st.sampled_from(PIECES), st.text().map(paste))), st.lists(st.integers(0, 10**6)))
def test_any_cut_gives_the_keys_that_prompt_toolkit_would(pieces, places):
    text = "".join(pieces)
    assert keys_of(cut(text, places)) == keys_of([text], Vt100Parser)


@given(st.lists(st.sampled_from(PIECES)), st.lists(st.sampled_from(PIECES)), st.lists(st.integers(0, 10**6)))
def test_a_report_is_taken_out_wherever_it_comes_and_however_it_is_cut(before, after, places):
    told = []
    reports = Reports(told.append)
    first, last = "".join(before), "".join(after)
    text = first + f"\x1b]11;{REPORT}\x1b\\" + last
    kept = "".join(reports.feed(chunk) for chunk in cut(text, places))
    kept += reports.flush()
    assert told[-1:] == [REPORT] or told == [REPORT]
    assert kept == first + last or "\x1b]11;" in first + last


@pytest.mark.parametrize("end", ["\x1b\\", "\x07"])
def test_a_report_in_the_middle_of_a_paste_leaves_the_paste_whole(end):
    reports = Reports(lambda _report: None)
    text = paste("one " + f"\x1b]11;{REPORT}{end}" + "two")
    keys = keys_of([reports.feed(character) for character in text])
    assert keys == [(Keys.BracketedPaste, "one two")]


def test_where_the_cursor_is_may_be_told_in_the_middle_of_a_paste():
    assert keys_of([paste("one \x1b[12;40Rtwo")]) == [
        (Keys.CPRResponse, "\x1b[12;40R"),
        (Keys.BracketedPaste, "one two"),
    ]


def test_a_lone_escape_is_given_back_when_nothing_follows_and_half_a_report_is_not():
    reports = Reports(lambda _report: None)
    assert (reports.feed("a\x1b"), reports.flush()) == ("a", "\x1b")
    assert (reports.feed("\x1b]11;rgb:"), reports.flush()) == ("", "")
    assert reports.feed("1/1/1\x07b") == "b"
    assert reports.feed("\x1b]11;" + "x" * 100) == "\x1b]11;" + "x" * 100


@pytest.mark.parametrize(
    ("report", "background"),
    [
        ("rgb:ffff/ffff/ffff", Background.LIGHT),
        ("rgb:0000/0000/0000", Background.DARK),
        ("rgb:fd/f6/e3", Background.LIGHT),  # Solarized
        ("rgb:00/2b/36", Background.DARK),
        ("rgb:1e1e/1e1e/1e1e", Background.DARK),
        ("rgb:0000/0000/ffff", Background.DARK),  # pure blue is dark, pure green is not
        ("rgb:0000/ffff/0000", Background.LIGHT),
        ("rgba:ffff/ffff/ffff/0000", Background.LIGHT),
        ("#ffffff", Background.LIGHT),
        ("rgb:f/f/f", Background.LIGHT),
        ("nonsense", None),
        ("rgb:/1/1", None),
    ],
)
def test_light_or_dark_is_a_matter_of_luminance(report, background):
    assert reported(report) == background


@pytest.mark.parametrize(
    ("value", "background"),
    [
        ("0;15", "light"),
        ("15;0", "dark"),
        ("0;default;15", "light"),
        ("", "dark"),
        ("0;default", "dark"),
        ("7", "light"),
    ],
)
def test_without_a_report_a_variable_says_it_or_it_is_dark(value, background):
    assert guess({"COLORFGBG": value}) == background


@pytest.mark.parametrize(
    ("variables", "can"),
    [
        ({"TERM": "xterm-256color"}, True),
        ({"TERM": "dumb"}, False),
        ({"TERM": "linux"}, False),
        ({}, False),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False),
        ({"TERM": "xterm", "NO_COLOR": ""}, True),
    ],
)
def test_terminals_that_do_not_answer_are_not_asked(variables, can):
    assert can_be_asked(variables) == can


def test_without_a_terminal_there_is_a_keyboard_that_does_nothing(tmp_path):
    import io

    environment = Environment(
        stdin=io.BytesIO(), stdout=io.BytesIO(), stderr=io.StringIO(), stdout_encoding="utf-8",
        stdin_is_terminal=False, stdout_is_terminal=False, stderr_is_terminal=False, variables={"COLORFGBG": "0;15"},
    )  # fmt: skip
    keyboard = open_keyboard(environment)
    assert isinstance(keyboard, BareKeyboard)
    with keyboard, keyboard.lent(), keyboard.fresh():
        assert keyboard.background is Background.LIGHT
        assert keyboard.input is keyboard.output is None


class Modes:
    """Settings that stay as they are."""

    def raw(self):
        return nullcontext()

    def cooked(self):
        return nullcontext()

    def has_terminal(self):
        return True


@pytest.fixture
def terminal():
    """An input on a pseudo-terminal, and what types at it."""
    if sys.platform == "win32":
        pytest.skip("a POSIX pseudo-terminal")
    import tty

    from llamachat.ui.terminal_input import TerminalInput

    ours, theirs = os.openpty()
    tty.setraw(theirs)
    with os.fdopen(theirs, "rb", buffering=0) as stdin:
        yield TerminalInput(stdin, "utf-8", Modes(), lambda _report: None), lambda data: os.write(ours, data)
    os.close(ours)


def test_a_character_that_is_cut_stays_whole_and_what_is_none_is_replaced(terminal):
    keys, type_bytes = terminal
    for data in (b"a\xc3", b"\xa9", b"\xff\x1b", b"[", b"A"):
        type_bytes(data)
        keys.read()
    assert [(key.key, key.data) for key in keys.take_all()] == [
        ("a", "a"),
        ("é", "é"),
        ("\N{REPLACEMENT CHARACTER}", "\N{REPLACEMENT CHARACTER}"),
        (Keys.Up, "\x1b[A"),
    ]


def test_where_the_cursor_was_is_nothing_that_a_later_prompt_should_hear(terminal):
    keys, type_bytes = terminal
    type_bytes(b"a\x1b[5;7Rb")
    keys.read()
    assert [key.data for key in keys.take_all()] == ["a", "b"]


def test_what_was_typed_early_has_line_ends_for_enter(terminal):
    keys, type_bytes = terminal
    type_bytes(b"one\ntwo")
    keys.take_early()
    assert [key.key for key in keys.take_all()] == ["o", "n", "e", Keys.Enter, "t", "w", "o"]


def test_keys_are_collected_until_it_is_told_to_stop(terminal):
    keys, type_bytes = terminal
    keys.collect()
    text = b"x" * 20_000  # more than the kernel holds
    type_bytes(text[:15_000])
    type_bytes(text[15_000:])
    while len(keys._buffer) < len(text):
        time.sleep(0.001)
    assert keys.stop_collecting()
    assert not keys.stop_collecting()
    assert len(keys.take_all()) == len(text)
