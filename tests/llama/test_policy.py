"""When to draft: on machines that are tables of costs, over texts that are known beforehand."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamachat.llama.costs import Costs
from llamachat.llama.ngrams import Ngrams
from llamachat.llama.policy import MOST, Policy, Source

Price = Callable[[int], float]
SLOPES = {"a GPU": 0.03, "a good CPU": 0.2, "a CPU without fitting kernels": 0.45, "a hopeless one": 1.0}


def price(slope: float) -> Price:
    return lambda n_tokens: 1 + slope * (n_tokens - 1)


@dataclass
class Account:
    """What an answer took, in single tokens; the draft sizes of its steps."""

    spent: float = 0.0
    counts: list[int] = field(default_factory=list)
    n_right: int = 0

    @property
    def acceptance(self) -> float:
        return self.n_right / sum(self.counts)


def play(prompt: Sequence[int], answer: Sequence[int], prices: Price, costs: Costs | None = None) -> Account:
    """Say `answer` by the policy; guesses are right where they are what it has there."""
    costs = costs or Costs()
    policy, text, account, done = Policy(costs), Ngrams(prompt), Account(), 0
    while done < len(answer):
        match, depth = text.match(), len(text.tokens)
        agreed = match.length if match else 0
        plan = policy.plan(agreed, min(MOST, len(answer) - done - 1), depth)
        guesses = text.after(match, plan.count or 1) if match else []
        n_right = 0
        for index, guess in enumerate(guesses):
            was_right = guess == answer[done + index]
            policy.odds.learn(Source.TEXT, agreed + index, was_right=was_right)
            if not was_right:
                break
            n_right += 1
        took = prices(1 + plan.count)
        costs.add(1 + plan.count, depth, took)
        account.spent += took
        account.counts.append(plan.count)
        n_said = 1
        if plan.count:
            account.n_right += n_right
            policy.judge(1 + n_right, took)
            n_said += n_right
        for token in answer[done : done + n_said]:
            text.add(token)
        done += n_said
    return account


def words(count: int, n_different: int = 400) -> list[int]:
    choose = random.Random(count)
    return [choose.randrange(n_different) for _ in range(count)]


LIST = words(300)


@pytest.mark.parametrize(("machine", "least"), list(zip(SLOPES, (7, 3, 1.6, 0.94), strict=True)))
def test_a_copy_is_faster_by_what_the_machine_allows(machine, least):
    account = play(LIST, LIST, price(SLOPES[machine]))
    assert len(LIST) / account.spent >= least


@pytest.mark.parametrize("machine", SLOPES)
def test_nearly_all_guesses_of_a_copy_are_right(machine):
    assert play(LIST, LIST, price(SLOPES[machine])).acceptance > 0.9


def test_drafts_are_long_where_they_are_nearly_free_and_only_there():
    assert max(play(LIST, LIST, price(0.03)).counts) == MOST
    steps = {1: 1.0, 2: 1.2, 3: 1.4, 4: 1.5}
    dear = play(LIST, LIST, lambda n: steps.get(n, 2.0 * n))
    assert dear.counts[-20:].count(3) >= 15


@pytest.mark.parametrize("machine", SLOPES)
def test_a_text_that_only_seems_to_repeat_itself_loses_little(machine):
    """Pairs come again all the time, and are followed by anything."""
    choose = random.Random(1)
    answer = [
        token for _ in range(300) for token in (*choose.choice([(1, 2), (3, 4), (5, 6)]), choose.randrange(9, 900))
    ]
    account = play([], answer, price(SLOPES[machine]))
    assert len(answer) / account.spent >= 0.95


@given(st.lists(st.integers(0, 4), min_size=150, max_size=300), st.sampled_from(sorted(SLOPES.values())))
def test_no_text_and_no_machine_loses_more_than_a_tenth(answer, slope):
    assert play([], answer, price(slope)).spent <= 1.1 * len(answer) + 3


def test_nothing_is_drafted_before_single_tokens_were_measured():
    assert play(LIST, LIST, price(0)).counts[:3][:2] == [0, 0]


def test_when_the_machine_gets_quicker_drafts_begin_again():
    costs = Costs()
    busy = play(LIST, LIST, price(1.5), costs)
    assert sum(busy.counts) < 60
    assert sum(play(LIST, LIST * 4, price(0.1), costs).counts) > 3 * len(LIST)


def draft_by_model(policy: Policy, costs: Costs, n_steps: int, n_right: int) -> list[int]:
    """The sizes of drafts by a model of which so many guesses are right each time."""
    counts = []
    for _ in range(n_steps):
        plan = policy.plan(0, MOST, 0, model_cost=0.1)
        counts.append(plan.count)
        costs.add(1 + plan.count, 0, price(0.2)(1 + plan.count))
        if plan.count:
            assert plan.source is Source.MODEL
            for index in range(plan.count):
                policy.odds.learn(Source.MODEL, index, was_right=index < n_right)
                if index >= n_right:
                    break
            policy.judge(1 + min(n_right, plan.count), price(0.2)(1 + plan.count) + 0.1 * plan.count)
    return counts


def test_a_model_that_is_right_keeps_drafting():
    costs = Costs()
    counts = draft_by_model(Policy(costs), costs, 100, n_right=MOST)
    assert sum(count > 0 for count in counts) > 85
    assert max(counts) == MOST


def test_a_model_that_is_wrong_is_asked_ever_more_seldom_and_again_when_it_is_right():
    costs = Costs()
    policy = Policy(costs)
    first = draft_by_model(policy, costs, 1500, n_right=0)
    asked = [index for index, count in enumerate(first) if count]
    pauses = [after - before for before, after in itertools.pairwise(asked) if after - before > 20]
    assert pauses[:4] == [32, 64, 128, 256]
    assert len(asked) < 20
    later = draft_by_model(policy, costs, 6000, n_right=MOST)
    assert sum(map(bool, later[-100:])) > 85
