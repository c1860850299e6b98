"""Control tokens come from the template's text only."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from llamachat.errors import UsageError
from llamachat.formats.base import Control, Text
from llamachat.formats.controls import Controls, unused_characters
from tests.formats.dialogs import contents

SENTINEL = "\ufdd0"
CHATML = Controls(["<|im_start|>", "<|im_end|>", "<s>", "</s>", "</s", "<|im_start|>x"])


def split(controls: Controls, text: str) -> list[Text | Control]:
    return list(controls.split(text, SENTINEL))


def test_a_templates_own_control_tokens_are_found_the_longest_first():
    assert split(CHATML, "<s>a<|im_start|>xb</s></s") == [
        Control("<s>"),
        Text("a"),
        Control("<|im_start|>x"),
        Text("b"),
        Control("</s>"),
        Control("</s"),
    ]


@given(content=contents.filter(lambda content: SENTINEL not in content))
def test_no_content_has_a_control_token_in_it_and_none_is_changed(content):
    marked = CHATML.marked(content, SENTINEL)

    assert split(CHATML, marked) == ([Text(content)] if content else [])


@given(content=contents.filter(lambda content: SENTINEL not in content))
def test_marks_never_stand_outside_of_surrounding_white_space(content):
    marked = CHATML.marked(content, SENTINEL)

    assert split(CHATML, marked.strip()) == split(CHATML, CHATML.marked(content.strip(), SENTINEL))


@given(control=st.sampled_from(["<|im_start|>", "</s>"]), cuts=st.tuples(st.integers(0, 12), st.integers(0, 12)))
def test_a_control_token_in_pieces_does_not_come_together(control, cuts):
    """The template writes its beginning and its end, the content what is between."""
    start, end = sorted(cuts)
    between = control[start:end]
    assume(between)
    controls = Controls(["<|im_start|>", "</s>"])

    found = split(controls, control[:start] + controls.marked(between, SENTINEL) + control[end:])

    assert found == [Text(control)]


def test_nor_one_with_a_space_in_it():
    controls = Controls(["<a b>"])

    assert split(controls, "<a" + controls.marked(" b>", SENTINEL)) == [Text("<a b>")]


@pytest.mark.parametrize("cut", ["<image>", "\n"])
def test_what_a_template_cuts_out_brings_no_control_token_together(cut):
    controls = Controls(["<|im_start|>"], literals=[cut])

    marked = controls.marked(f"<|im_{cut}start|>", SENTINEL)

    assert split(controls, marked.replace(cut, "")) == [Text("<|im_start|>")]


def test_what_a_template_looks_for_stays_in_one_piece():
    controls = Controls(["<|im_start|>", "</s>"], literals=["</think>", "</s>", "<|im"])

    marked = controls.marked("a</think>b</s>c<|im", SENTINEL)

    assert "</think>" in marked
    assert "</s>" not in marked
    assert "<|im" not in marked


def test_a_control_token_of_one_character_stays_text():
    assert split(Controls(["|", "<s>"]), "a|b<s>") == [Text("a|b"), Control("<s>")]


def test_a_vocabulary_without_control_tokens_is_all_text():
    controls = Controls([])

    assert controls.marked("<s> [INST]", SENTINEL) == "<s> [INST]"
    assert split(controls, "<s> [INST]") == [Text("<s> [INST]")]


def test_unused_characters_are_in_no_text():
    noncharacters = "".join(map(chr, range(0xFDD0, 0xFDF0)))
    found = unused_characters([noncharacters, "abc"])

    assert [next(found), next(found)] == ["\ufffe", "\uffff"]


def test_a_text_of_all_characters_leaves_none():
    everything = "".join(chr(code) for code in range(0x110000))

    with pytest.raises(UsageError):
        next(unused_characters([everything]))
