"""A new prompt as the old one with ranges cut out: found exactly, or not at all."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from llamachat.llama.cuts import SEAM, Block, find_cuts

OLD = list(range(1000, 1400))
FEW = st.lists(st.integers(0, 2), max_size=80)


def test_one_range_cut_out():
    assert find_cuts(OLD, [*OLD[:50], *OLD[120:], 1, 2]) == [Block(120, 50, 280)]


def test_a_few_tokens_may_differ_where_the_range_was():
    seam = [7] * SEAM
    assert find_cuts(OLD, [*OLD[:50], *seam, *OLD[120:], 1]) == [Block(120, 50 + SEAM, 280)]
    assert find_cuts(OLD, [*OLD[:50], *seam, 7, *OLD[120:], 1]) == []


def test_what_stands_between_two_cuts_is_kept():
    new = [*OLD[:50], 7, *OLD[120:160], 8, 9, *OLD[300:], 1]
    assert find_cuts(OLD, new) == [Block(120, 51, 40), Block(300, 93, 100)]


def test_the_last_token_is_left_to_be_evaluated():
    (block,) = find_cuts(OLD, [*OLD[:50], *OLD[120:]])
    assert block.end == 50 + 280 - 1


def test_a_beginning_that_changed_is_no_cut():
    assert find_cuts(OLD, [7, 8, *OLD[2:], 1]) == []
    assert find_cuts(OLD, [*OLD[:2], 7, 8, *OLD[3:], 1]) == []


def test_a_prompt_that_goes_on_or_goes_back_has_no_cuts():
    assert find_cuts(OLD, [*OLD, 1, 2]) == []
    assert find_cuts(OLD, OLD[:100]) == []
    assert find_cuts([], OLD) == []


def test_of_equal_runs_the_one_that_goes_on_longest_is_taken():
    run = OLD[:20]
    old = [1, *range(100, 140), *run, 2, *range(200, 230), *run, *range(300, 340)]
    new = [1, *run, *range(300, 340), 3]
    assert find_cuts(old, new) == [Block(old.index(300) - 20, 1, 60)]


@given(old=FEW, new=FEW, cut=st.tuples(st.integers(0, 80), st.integers(0, 80)))
def test_a_block_is_what_it_says_whatever_the_lists(old, new, cut):
    start, end = sorted(cut)
    wanted = [*old[:start], *new[:3], *old[end:], *new]
    covered = 0
    source = 0
    for block in find_cuts(old, wanted):
        assert wanted[block.target : block.end] == old[block.source : block.source + block.length]
        assert block.target >= covered
        assert block.source >= max(source, block.target + 1)
        assert block.end < len(wanted)
        covered, source = block.end, block.source + block.length
