"""Colours for dark and light terminals, and what is left where there are none."""

from __future__ import annotations

import re

import pytest

from llamachat.ui.theme import Background, Look, theme


def make(background=Background.DARK, *, colour=True, attributes=True, encoding="utf-8"):
    return theme(background, colour=colour, attributes=attributes, encoding=encoding)


def codes(look_of) -> set[int]:
    return {int(code) for value in look_of.codes.values() for code in value.split(";")}


def test_a_text_is_painted_whole():
    assert make().paint("a", Look.STRONG) == "\x1b[1ma\x1b[0m"
    assert re.fullmatch(r"\x1b\[[0-9;]+ma\x1b\[0m", make().paint("a", Look.STRONG, Look.CODE, Look.LINK))


def test_nothing_is_painted_where_there_is_nothing_to_paint():
    assert make().paint("", Look.STRONG) == ""
    assert make().paint("a") == "a"
    assert make(colour=False).paint("a", Look.CODE) == "a"


@pytest.mark.parametrize("background", Background)
def test_only_the_sixteen_colours_and_attributes_are_used(background):
    assert codes(make(background)) <= {1, 2, 3, 4, 9, *range(31, 37), *range(91, 97)}


def test_a_dark_terminal_gets_no_plain_blue():
    assert not codes(make(Background.DARK)) & {30, 34}


def test_a_light_terminal_gets_no_yellow_white_cyan_or_bright_colour():
    assert not codes(make(Background.LIGHT)) & {33, 36, 37, *range(90, 98)}


def test_without_colour_the_attributes_remain():
    assert codes(make(colour=False)) == {1, 2, 3, 4, 9}


def test_without_attributes_nothing_remains():
    bare = make(attributes=False)
    assert bare.is_bare
    assert not make(colour=False).is_bare
    assert {bare.paint("a", look) for look in Look} == {"a"}
    assert not any(map(bare.shows, Look))


def test_every_look_is_painted_in_colour():
    assert [look for background in Background for look in Look if not make(background).shows(look)] == []


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "cp437", "shift_jis", "koi8-r", "no-such-encoding"])
def test_glyphs_can_be_written_in_the_terminals_encoding(encoding):
    glyphs = make(encoding=encoding).glyphs
    for name in glyphs.__slots__:
        getattr(glyphs, name).encode("ascii" if encoding == "no-such-encoding" else encoding)


def test_what_an_encoding_has_is_used():
    assert make().glyphs.quote == make(encoding="cp437").glyphs.quote == "│"
    assert make(encoding="cp1252").glyphs.prompt == "›"
    assert make(encoding="cp1252").glyphs.quote == "|"


def test_bullets_go_by_level_and_the_last_stays():
    assert [make().glyphs.bullet(level) for level in range(5)] == ["•", "◦", "▪", "▪", "▪"]
