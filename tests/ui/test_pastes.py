"""Folded texts, and the rules of an open draft."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamachat.ui.draft import is_open, message_of, without_continuation
from llamachat.ui.pastes import Origin, Pastes, clean, has_fold, is_long

PAGE = "x\n" * 8


@given(st.lists(st.tuples(st.text(), st.booleans())))
def test_whatever_is_pasted_and_typed_comes_back_as_it_was(pieces):
    pastes = Pastes()
    draft = expected = ""
    spans = []
    for piece, is_paste in pieces:
        text = clean(piece) + (PAGE if is_paste else "")
        draft += pastes.take(text, Origin.PASTED) if is_paste else text
        if is_paste:
            spans.append((len(expected), len(expected) + len(text)))
        expected += text
    typed = pastes.expand(draft)
    assert typed.text == expected
    if not any(is_long(text) for text, is_paste in pieces if not is_paste):
        assert [typed.text[start:end] for start, end in typed.pasted] == [expected[start:end] for start, end in spans]
    assert pastes.expand(pastes.unfold(draft)).text == expected


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("x\n" * 8, "[8 lines pasted]"),
        ("\n".join("x" * 8), "[8 lines pasted]"),
        ("x" * 1000, "[1,000 characters pasted]"),
        ("x\n" * 7, None),
        ("x" * 999, None),
    ],
)
def test_a_text_is_folded_from_eight_lines_or_a_thousand_characters(text, label):
    pastes = Pastes()
    draft = pastes.take(text, Origin.PASTED)
    assert (pastes.label(draft) if has_fold(draft) else None) == label


def test_a_text_that_is_written_around_a_paste_keeps_what_was_pasted_apart():
    pastes = Pastes()
    pastes.take(PAGE, Origin.PASTED)
    draft = pastes.take(f"mine {PAGE} {'my own ' * 2000}", Origin.WRITTEN)
    assert len(draft) == 1
    assert pastes.expand(draft).pasted == ((5, 5 + len(PAGE)),)
    assert pastes.take("one\ntwo", Origin.WRITTEN) == "one\ntwo"


def test_when_there_are_no_more_characters_a_paste_stays_unfolded():
    pastes = Pastes()
    drafts = [pastes.take(f"{number}{PAGE}", Origin.PASTED) for number in range(2050)]
    assert all(len(draft) == 1 for draft in drafts[:2048])
    assert drafts[2049] == f"2049{PAGE}"
    assert pastes.expand("".join(drafts)).text == "".join(f"{number}{PAGE}" for number in range(2050))


@pytest.mark.parametrize(
    ("draft", "is_one"),
    [
        ("hello", False),
        ("```", True),
        ("```py\nx", True),
        ("```\nx\n```", False),
        ("```\nx\n~~~", True),
        ("````\n```", True),
        ("``` a ` b", False),
        ('"""', True),
        ('"""one', True),
        ('"""one"""', False),
        ('  """\none\n"""\n', False),
        ('say """', False),
        ('""""', True),
    ],
)
def test_a_draft_is_open_until_its_block_is_closed(draft, is_one):
    assert is_open(draft) == is_one


@pytest.mark.parametrize(
    ("draft", "message"),
    [('"""\na\nb\n"""', "a\nb"), ('"""a"""', "a"), ('"""a', '"""a'), ('""" a\n\n"""', " a\n"), ("a", "a")],
)
def test_the_marks_of_a_block_are_no_part_of_the_message(draft, message):
    assert message_of(draft) == message


@pytest.mark.parametrize(("draft", "rest"), [("a\\", "a"), ("a\\\\", None), ("a\\\\\\", "a\\\\"), ("a", None)])
def test_a_single_backslash_at_the_end_goes_on(draft, rest):
    assert without_continuation(draft) == rest
