"""What a text has said before: places that agree with its end, and what followed there."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from llamachat.llama.ngrams import LONGEST, Ngrams

TEXTS = st.lists(st.integers(0, 3), max_size=60)


def test_what_was_said_before_is_found_with_what_followed():
    text = Ngrams([1, 2, 3, 4, 5, 6, 7, 9, 2, 3, 4])
    match = text.match()
    assert match is not None
    assert (match.position, match.length) == (4, 3)
    assert text.after(match, 3) == [5, 6, 7]


def test_of_several_places_the_most_recent_counts():
    text = Ngrams([1, 2, 7, 1, 2, 8, 1, 2])
    match = text.match()
    assert match is not None
    assert text.after(match, 1) == [8]


def test_four_tokens_that_agree_count_for_more_than_two_that_are_nearer():
    text = Ngrams([1, 2, 3, 4, 7, 3, 4, 8, 1, 2, 3, 4])
    match = text.match()
    assert match is not None
    assert text.after(match, 1) == [7]


def test_what_never_came_before_has_no_match():
    assert Ngrams([1, 2, 3, 4, 5]).match() is None
    assert Ngrams([1]).match() is None


def test_a_text_that_repeats_itself_goes_on_repeating():
    text = Ngrams([5, 1, 2, 3, 1, 2, 3])
    match = text.match()
    assert match is not None
    assert text.after(match, 7) == [1, 2, 3, 1, 2, 3, 1]


@given(TEXTS)
def test_a_match_is_as_long_as_it_says_and_no_longer(tokens):
    match = Ngrams(tokens).match()
    pairs = set(itertools.pairwise(tokens[:-1]))
    assert (match is not None) == (tuple(tokens[-2:]) in pairs)
    if match is None:
        return
    before = tokens[: match.position]
    assert before[-match.length :] == tokens[-match.length :]
    if match.length < LONGEST and match.length < len(before):
        assert before[-match.length - 1] != tokens[-match.length - 1]


@given(TEXTS, TEXTS)
def test_a_text_that_grows_is_the_text_that_was_there_at_once(first, more):
    grown = Ngrams(first)
    for token in more:
        grown.add(token)
    assert grown.match() == Ngrams([*first, *more]).match()
