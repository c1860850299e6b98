"""Which of several is quicker than the default: only what is clear, however the machine shakes."""

from __future__ import annotations

import pytest

from llamachat.llama.contest import Contest
from llamachat.llama.pace import Pace


def hold(times: dict[str, list[float]], rounds: int = 5, *, needs_quiet: bool = False) -> Contest[str]:
    """A contest in which each takes these seconds, one after the other."""
    default, *others = times
    contest = Contest(default, others, rounds, needs_quiet=needs_quiet)
    left = {name: list(seconds) for name, seconds in times.items()}
    while (turn := contest.turn) is not None:
        contest.add(left[turn].pop(0))
    return contest


def test_what_is_clearly_quicker_wins():
    contest = hold({"default": [1.0, 1.02, 0.99, 1.01, 1.0], "other": [0.8, 0.81, 0.79, 0.8, 0.82]})
    assert (contest.winner, contest.is_settled) == ("other", True)
    assert contest.ratio("other") == pytest.approx(0.8, abs=0.02)


def test_the_quickest_of_several_wins():
    times = {"default": [1.0] * 5, "quick": [0.9] * 5, "quicker": [0.7] * 5, "slow": [1.2] * 2}
    assert hold(times).winner == "quicker"


@pytest.mark.parametrize("ratio", [0.98, 1.0, 1.2])
def test_the_default_stays_without_a_clear_gain(ratio):
    contest = hold({"default": [1.0] * 5, "other": [ratio] * 5})
    assert (contest.winner, contest.is_settled) == ("default", True)


def test_one_disturbed_time_on_either_side_changes_nothing():
    contest = hold({"default": [1.0, 1.0, 3.0, 1.0, 1.0], "other": [0.8, 2.0, 0.8, 0.8, 0.8]})
    assert (contest.winner, contest.is_settled) == ("other", True)


def test_on_a_machine_that_shakes_the_default_stays():
    contest = hold({"default": [1.0, 2.0, 1.5, 0.8, 1.2], "other": [0.9, 1.9, 1.6, 0.9, 1.1]})
    assert (contest.winner, contest.is_settled) == ("default", True)


def test_what_is_quicker_by_far_there_wins():
    contest = hold({"default": [1.0, 2.0, 1.5, 1.1, 1.2], "other": [0.4, 0.9, 0.5, 0.6, 0.5]})
    assert (contest.winner, contest.is_settled) == ("other", True)


def test_but_not_what_may_only_suffer_less():
    """One thread beats two that wait for each other, as long as another program has one of the cores."""
    times = {"default": [1.0, 2.0, 1.5, 1.1, 1.2], "other": [0.4, 0.9, 0.5, 0.6, 0.5]}
    contest = hold(times, needs_quiet=True)
    assert (contest.winner, contest.is_settled) == ("default", False)


def test_what_was_slower_is_settled_on_a_machine_that_shakes():
    contest = hold({"default": [1.0, 2.0], "other": [0.975, 2.3]}, needs_quiet=True)
    assert (contest.winner, contest.is_settled) == ("default", False)
    contest = hold({"default": [1.0], "other": [1.2]}, needs_quiet=True)
    assert (contest.winner, contest.is_settled) == ("default", True)


def test_drift_of_the_whole_machine_is_no_gain():
    drift = [1.0, 1.3, 1.6, 1.9, 2.2]
    contest = hold({"default": drift, "other": [0.99 * each for each in drift]})
    assert contest.winner == "default"
    assert contest.ratio("other") == pytest.approx(0.99)


def test_what_is_not_ahead_in_the_first_round_is_tried_once_and_ends_the_contest():
    contest = Contest("default", ["threads"])
    assert contest.turn is not None
    turns = []
    while (turn := contest.turn) is not None:
        turns.append(turn)
        contest.add({"default": 1.0, "threads": 0.99}[turn])
    assert sorted(turns) == ["default", "threads"]
    assert (contest.winner, contest.is_settled) == ("default", True)


def test_what_is_no_quicker_in_two_rounds_is_not_tried_further():
    contest = Contest("default", ["other"])
    turns = []
    while (turn := contest.turn) is not None:
        turns.append(turn)
        contest.add({"default": 1.0, "other": 0.975}[turn])
    assert len(turns) == 4
    assert (contest.winner, contest.is_settled) == ("default", True)


def test_where_it_counts_by_how_much_all_have_all_rounds():
    contest = Contest("default", ["slow"], 3, thorough=True)
    times = iter([1.0, 1.1, 1.4, 1.0, 1.0, 1.2])  # the others' in the order of their turns
    while contest.turn is not None:
        contest.add(next(times))
    assert (contest.winner, contest.is_settled) == ("default", True)
    assert contest.ratio("slow") == pytest.approx(1.2)


def test_two_rounds_on_a_machine_that_shakes_settle_nothing():
    contest = hold({"default": [1.0, 1.4], "other": [0.975, 1.39]}, needs_quiet=True)
    assert (contest.winner, contest.is_settled) == ("default", False)


def test_each_round_has_a_turn_of_all_in_changing_order():
    contest = Contest("a", ["b"], rounds=3)
    turns = []
    while (turn := contest.turn) is not None:
        turns.append(turn)
        contest.add({"a": 1.0, "b": 0.5}[turn])
    assert turns == ["a", "b", "b", "a", "a", "b"]


def test_without_others_it_is_over_before_it_begins():
    contest: Contest[str] = Contest("default", [])
    assert (contest.turn, contest.winner, contest.is_settled) == (None, "default", True)


def test_it_can_begin_again():
    contest = hold({"default": [1.0] * 5, "other": [0.5] * 5})
    contest.begin()
    assert (contest.turn, contest.ratio("other")) == ("default", 1.0)


@pytest.mark.parametrize(
    ("other", "is_better"),
    [
        (Pace(1.0, 1.0), False),
        (Pace(1.0, 0.9), True),
        (Pace(0.9, 1.0), True),
        (Pace(0.9, 1.05), False),  # reads quicker, writes more slowly: no gain in all
        (Pace(2.0, 0.9), False),
        (Pace(1.1, 0.5), True),  # reads more slowly, and a turn is quicker by far
        (Pace(1.01, 0.94), True),
        (Pace(0.98, 0.98), False),
    ],
)
def test_what_is_better_as_a_whole_is_quicker_in_something_and_slower_in_nothing_that_counts(other, is_better):
    assert other.is_better_than(Pace(1.0, 1.0)) is is_better


def test_a_pace_of_several_is_their_median():
    assert Pace.median_of([Pace(1, 4), Pace(9, 5), Pace(2, 90)]) == Pace(2, 5)
