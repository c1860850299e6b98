"""Thoughts are taken apart from the answer, however both come in pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamachat.ui.thoughts import Thoughts


def split(*chunks: str) -> tuple[str, str]:
    """All that was thought, and all that was said."""
    thoughts = Thoughts()
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


@given(
    st.lists(st.sampled_from(["<think>", "</think>", "<", "think", ">", "\n", " ", "a", "</thi"])), st.integers(1, 9)
)
def test_how_it_is_cut_does_not_matter(parts, size):
    text = "".join(parts)
    assert split(*(text[i : i + size] for i in range(0, len(text), size))) == split(text)


def test_a_thought_comes_out_while_it_is_thought():
    thoughts = Thoughts()
    assert [piece.text for piece in thoughts.feed("<think>so")] == ["so"]
    assert [piece.text for piece in thoughts.feed(" it is <")] == [" it is "]
    assert [(piece.text, piece.is_thought) for piece in thoughts.feed("/think>42")] == [("42", False)]
