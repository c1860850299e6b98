"""Thoughts are taken apart from the answer, however both come in pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamachat.ui.thoughts import Thoughts, said_of, thoughts_of


def split(*chunks: str, is_open: bool = False) -> tuple[str, str]:
    """All that was thought, and all that was said."""
    thoughts = Thoughts(is_open=is_open)
    pieces = [piece for chunk in chunks for piece in thoughts.feed(chunk)] + thoughts.flush()
    assert all(piece.text for piece in pieces)
    assert [piece.is_thought for piece in pieces] == sorted((piece.is_thought for piece in pieces), reverse=True)
    return tuple("".join(p.text for p in pieces if p.is_thought is kind) for kind in (True, False))


EXAMPLES = {
    "": ("", ""),
    "Hello": ("", "Hello"),
    "<think>a b</think>c": ("a b", "c"),
    " \n<think>\na\n</think>\n\n  c": ("a\n", "  c"),
    "<think>a</think>": ("a", ""),
    "<think>never closed </thin": ("never closed </thin", ""),
    "<think>\n\n</think>\n\nc": ("", "c"),
    "<think>a</think>b<think>c</think>": ("a", "b<think>c</think>"),
    "a<think>b</think>": ("", "a<think>b</think>"),
    "\n<thing>": ("", "\n<thing>"),
    "  <thi": ("", "  <thi"),
    "<think>a<<</think>": ("a<<", ""),
    "<THINK>a": ("", "<THINK>a"),
    " " * 1001 + "<think>": ("", " " * 1001 + "<think>"),
}


@pytest.mark.parametrize("text", EXAMPLES)
def test_examples(text):
    assert split(text) == EXAMPLES[text]
    assert split(*text) == EXAMPLES[text]


OPEN = {
    "": ("", ""),
    "a b</think>c": ("a b", "c"),
    "\na\n</think>\n\n  c": ("a\n", "  c"),
    "<think>\na</think>c": ("a", "c"),
    "</think>\n\nc": ("", "c"),
    "never closed </thin": ("never closed </thin", ""),
    " <thi": ("<thi", ""),
    " " * 1001 + "a</think>b": ("a", "b"),
}


@pytest.mark.parametrize("text", OPEN)
def test_where_the_prompt_opens_the_thought_the_answer_begins_inside(text):
    assert split(text, is_open=True) == OPEN[text]
    assert split(*text, is_open=True) == OPEN[text]
    assert (thoughts_of(text, is_open=True), said_of(text, is_open=True)) == OPEN[text]


@given(
    st.lists(st.sampled_from(["<think>", "</think>", "<", "think", ">", "\n", " ", "a", "</thi"])),
    st.integers(1, 9),
    st.booleans(),
)
def test_how_it_is_cut_does_not_matter(parts, size, is_open):
    text = "".join(parts)
    cut = (text[i : i + size] for i in range(0, len(text), size))
    assert split(*cut, is_open=is_open) == split(text, is_open=is_open)


def test_a_thought_comes_out_while_it_is_thought():
    thoughts = Thoughts()
    assert [piece.text for piece in thoughts.feed("<think>so")] == ["so"]
    assert [piece.text for piece in thoughts.feed(" it is <")] == [" it is "]
    assert [(piece.text, piece.is_thought) for piece in thoughts.feed("/think>42")] == [("42", False)]
