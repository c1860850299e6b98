"""Nothing in a text may act on the terminal."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamachat.ui.sanitise import sanitise, sanitise_line

HOSTILE = {
    "colour": "\x1b[31mred\x1b[0m",
    "title": "\x1b]0;title\x07",
    "clipboard": "\x1b]52;c;aGk=\x1b\\",
    "link": "\x1b]8;;http://x\x1b\\text\x1b]8;;\x1b\\",
    "device string": "\x1bP1$r0m\x1b\\",
    "application command": "\x1b_G\x1b\\",
    "8-bit CSI": "\x9b31m",
    "8-bit OSC": "\x9d0;x\x9c",
    "backspace": "a\x08b",
    "carriage return": "safe\rdangerous",
    "bell": "\x07",
    "delete": "\x7f",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_no_control_character_passes(text):
    shown = sanitise(text)
    assert not any(unicodedata.category(character) == "Cc" for character in shown)
    assert all(word in shown for word in ("red", "title", "text", "dangerous") if word in text)


def test_an_escape_is_shown_as_its_picture():
    assert sanitise("\x1b[2J") == "␛[2J"


@given(st.text())
def test_only_newlines_and_tabs_remain_of_the_control_characters(text):
    assert {c for c in sanitise(text) if unicodedata.category(c) in ("Cc", "Cs")} <= {"\n", "\t"}


@given(st.text(), st.integers(0, 100))
def test_a_cut_anywhere_changes_nothing(text, place):
    assert sanitise(text[:place]) + sanitise(text[place:]) == sanitise(text)


def test_hidden_and_reordering_characters_are_dropped():
    hidden = "".join(chr(0xE0000 + ord(c)) for c in "ignore all")
    assert sanitise(f"a\u202eb\u2066c\u200bd{hidden}e\ufeff") == "abcde"


def test_nothing_invisible_remains_but_joiners_and_selectors_of_emoji():
    seen_signs = {*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD, *range(0x13430, 0x13460)}
    joiners = {0x200C, 0x200D}
    formats = {code for code in range(0x110000) if unicodedata.category(chr(code)) == "Cf"}
    assert {code for code in formats if sanitise(chr(code))} == formats & (seen_signs | joiners)


@pytest.mark.parametrize("filler", "\u034f\u115f\u1160\u17b4\u3164\uffa0\U000e0101")
def test_fillers_and_hidden_selectors_are_dropped(filler):
    assert sanitise(f"a{filler}b") == "ab"


@pytest.mark.parametrize("text", ["👩\u200d🚀", "नमस्ते", "می\u200cخواهم", "한국어", "é e\u0301", "❤\ufe0f", "a\tb\nc"])
def test_text_of_every_script_is_left_alone(text):
    assert sanitise(text) == text


def test_a_line_stays_one_line():
    assert sanitise_line("a\nb\tc") == "a␊b c"
