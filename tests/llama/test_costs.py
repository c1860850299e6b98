"""What batches cost, by the clock."""

from __future__ import annotations

import pytest

from llamachat.llama.costs import Costs


def measured(**seconds: float) -> Costs:
    """`measured(_1=2, _4=3)`: batches of 1 and 4 tokens, near the start."""
    costs = Costs()
    for size, took in seconds.items():
        costs.add(int(size[1:]), 0, took)
    return costs


def test_a_size_that_was_measured_is_compared_with_a_single_token():
    assert measured(_1=2, _4=3).ratio(4, 0) == 1.5
    assert measured(_1=2, _4=3).ratio(1, 0) == 1


def test_a_few_disturbed_measurements_change_nothing():
    costs = measured(_1=1)
    for seconds in (2, 2, 90, 2, 2, 70, 2):
        costs.add(4, 0, seconds)
    assert costs.ratio(4, 0) == 2


def test_what_lasts_does():
    costs = measured(_1=1)
    for seconds in [2] * 10 + [6] * 10:
        costs.add(4, 0, seconds)
    assert costs.ratio(4, 0) == 6


def test_at_a_depth_that_was_not_measured_the_nearest_counts():
    costs = Costs()
    for depth, single, batch in ((0, 1, 2), (4000, 10, 12)):
        costs.add(1, depth, single)
        costs.add(4, depth, batch)
    assert costs.ratio(4, 600) == 2
    assert costs.ratio(4, 3000) == 1.2
    assert costs.single(3000) == 10


def test_a_batch_without_a_single_token_beside_it_says_nothing():
    costs = measured(_1=1, _4=2)
    costs.add(4, 4000, 9)
    assert costs.ratio(4, 4000) == 2


@pytest.mark.parametrize(("known", "expected"), [({}, 4.0), ({"_4": 2.5}, 8.5), ({"_4": 2.5, "_8": 3.1}, 5.5)])
def test_a_size_that_was_not_tried_is_as_cheap_a_token_as_the_cheapest(known, expected):
    assert measured(_1=1, **known).ratio(16, 0) == pytest.approx(expected)


def test_more_tokens_are_never_cheaper_than_one_by_a_guess():
    assert measured(_1=1, _4=0.5).ratio(16, 0) == 1


def test_a_single_token_is_due_first_and_after_many_batches():
    costs = Costs()
    assert costs.wants_single(0)
    costs.add(1, 0, 1)
    costs.add(1, 0, 1)
    due = []
    for _ in range(20):
        due.append(costs.wants_single(0))
        costs.add(4, 0, 2)
    assert due == [False] * 16 + [True] * 4
    costs.add(1, 0, 1)
    assert not costs.wants_single(0)
    assert costs.wants_single(600)
