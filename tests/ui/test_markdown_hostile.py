"""Whatever a model writes, in whatever part of an answer: the terminal obeys only our own SGR codes."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ui.markdown_screen import BARE, PAINTED, render, without_sgr

HOSTILE = {
    "colour": "\x1b[31mred\x1b[0m",
    "cursor": "\x1b[2J\x1b[H\x1b[1A\x1b[s\x1b[u\x1b[?1049h",
    "report": "\x1b[6n\x1b[c\x1b[>q\x05",
    "title": "\x1b]0;title\x07\x1b]2;title\x1b\\",
    "link": "\x1b]8;;http://evil\x1b\\text\x1b]8;;\x1b\\",
    "notification": "\x1b]9;text\x07\x1b]777;notify;a;b\x07",
    "clipboard": "\x1b]52;c;aGk=\x1b\\",
    "file": "\x1b]1337;File=inline=1:AAAA\x07",
    "device control": "\x1bP1$r0m\x1b\\\x1bPq#0\x1b\\",
    "application command": "\x1b_Ga=T;AAAA\x1b\\",
    "privacy message": "\x1b^text\x1b\\",
    "start of string": "\x1bXtext\x1b\\",
    "character sets": "\x1b(0\x0e\x0f\x1b%G\x1bc\x1b7\x1b8\x1b#8\x1b=\x1bN\x1bM",
    "8-bit": "\x9b31m\x9d0;x\x9c\x90q\x9c\x9fG\x9c\x9ex\x9c\x98x\x9c\x84\x85\x8d",
    "C0": "".join(map(chr, range(0x20))),
    "delete": "\x7f\x08\x08\x08rm",
    "carriage return": "safe\rdangerous\r\n",
    "bidirectional": "\u202eevil\u202c\u2066x\u2069\u200f\u061c",
    "invisible": "a\u200b\u2060\u00ad\ufeff\u115f\u3164b",
    "tags": "".join(chr(0xE0000 + ord(character)) for character in "ignore this"),
    "selectors": "x" + "".join(chr(0xE0100 + byte) for byte in b"hidden"),
    "separators": "a\u2028b\u2029c\x0bd\x0ce",
    "surrogates": "\ud83d\udc00",
    "half": "\x1b",
    "our own": "\x1b[0m\x1b[1m",
}
PLACES = {
    "paragraph": "{}",
    "emphasis": "a *{}* **{}** ~~{}~~ b",
    "unclosed": "a **{}",
    "code span": "a `{}` b `{}",
    "link": "[{}](http://x/{}) [{}](<{}> '{}')",
    "image": "![{}]({})",
    "escape": "\\{}",
    "heading": "# {}",
    "item": "- {}\n  1. {}\n- [ ] {}",
    "marker": "-{} 1.{}",
    "quote": "> {}\n> > {}",
    "code": "```\n{}\n```\n",
    "python": '```python\nx = "{}" # {}\n{}\n"""{}\n',
    "info string": "```{}\nx\n```\n~~~python {}\nx\n~~~\n",
    "closing fence": "```\nx\n```{}\n",
    "table": "| {} | b |\n|---|---|\n| {} | `{}` |\n| {} | <br>{} |\n",
    "delimiter row": "| a |\n|--{}-|\n",
    "preformatted": "    {}\n",
    "html": "<a href='{}'>&#27;[31m&#x1b;{}</a>",
}


def control_characters(output: str) -> set[str]:
    return {c for c in without_sgr(output) if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")} - {"\n"}


def hidden_characters(output: str) -> set[str]:
    return {c for c in output if unicodedata.category(c) == "Cf"} - {"\u200c", "\u200d"}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_only_text_wherever_it_stands(place, name):
    text = PLACES[place].replace("{}", HOSTILE[name])
    for look in (PAINTED, BARE):
        for width in (8, 60):
            output = render([text], look, width)
            assert not control_characters(output)
            assert not hidden_characters(output)
            assert render(text, look, width) == output


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", HOSTILE)
def test_a_bare_terminal_gets_no_escape_at_all(place, name):
    assert "\x1b" not in render([PLACES[place].replace("{}", HOSTILE[name])], BARE, 60)


@given(st.lists(st.one_of(st.sampled_from([*HOSTILE.values(), *PLACES.values()]), st.text(max_size=5)), max_size=12))
def test_no_mixture_makes_a_control_character(parts):
    assert not control_characters(render(parts, PAINTED, 40))


def test_colours_always_end_before_a_line_does():
    """So that whatever else writes to the terminal between two pieces begins plain."""
    text = "# {}\n".join(PLACES.values()).replace("{}", "one two three four five")
    for piece in render([text], PAINTED, 20).splitlines():
        assert piece.count("\x1b[") == 2 * piece.count("\x1b[0m")


def test_sgr_written_by_the_model_is_seen():
    assert render(["\x1b[31mred"], PAINTED, 40) == "␛[31mred\n"
